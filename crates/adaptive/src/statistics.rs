//! What the log of answers says of items, tests and policies, beside the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, ItemKey, Model, calibration::Counts, policy::Tally, select::Exposure};

/// Counts over all answers so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// How each item does, with a name of its content.
    items: BTreeMap<ItemKey, (u128, Counts)>,
    /// What the choices of each policy earned.
    pub policies: BTreeMap<String, Tally>,
    /// Which tests showed which items.
    pub exposure: Exposure,
}

impl Statistics {
    /// How an item does; `None` when nobody answered it.
    #[must_use]
    pub fn item(&self, key: ItemKey, content: u128) -> Option<&Counts> {
        self.items.get(&key).filter(|(known, _)| *known == content).map(|(_, counts)| counts)
    }

    /// The counts of an item. When its content is another than before, they begin anew: what was
    /// chosen among other options says nothing.
    pub fn counts(&mut self, key: ItemKey, content: u128) -> &mut Counts {
        let (known, counts) = self.items.entry(key).or_insert_with(|| (content, Counts::default()));
        if *known != content {
            *known = content;
            *counts = Counts::default();
        }
        counts
    }
}

/// Model and statistics as they are stored together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The model.
    pub model: Model,
    /// The statistics of the same answers.
    pub statistics: Statistics,
}

const FORMAT: u8 = 2;

impl Snapshot {
    /// The snapshot as bytes, the same for equal snapshots.
    #[must_use]
    pub fn encode(model: &Model, statistics: &Statistics) -> Vec<u8> {
        let wire = (model.encode(), statistics);
        postcard::to_extend(&wire, vec![FORMAT]).expect("a vector takes any number of bytes")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are truncated, of another format, or hold impossible numbers.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "snapshot";
        let (&format, body) =
            bytes.split_first().ok_or_else(|| Error::corrupt(WHAT, "no bytes"))?;
        if format != FORMAT {
            return Err(Error::Format { what: WHAT, found: format, expected: FORMAT });
        }
        let (model, statistics): (Vec<u8>, Statistics) =
            postcard::from_bytes(body).map_err(|e| Error::corrupt(WHAT, e))?;
        Ok(Self { model: Model::decode(&model)?, statistics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_begins_anew() {
        let (mut statistics, key) = (Statistics::default(), ItemKey::of("q"));
        statistics.counts(key, 1).add(&[0], 0.5, 0.7, true);
        assert_eq!(statistics.item(key, 1).unwrap().report(&[true]).answers, 1);
        assert_eq!(statistics.item(key, 2), None);
        statistics.counts(key, 2).add(&[0], 0.5, 0.7, true);
        assert_eq!(statistics.item(key, 2).unwrap().report(&[true]).answers, 1);
    }

    #[test]
    fn a_snapshot_comes_back_and_other_bytes_are_refused() {
        let mut statistics = Statistics::default();
        statistics.counts(ItemKey::of("q"), 1).add(&[2], 0.5, 0.7, true);
        statistics.policies.entry("practice-1".into()).or_default().add(1.0, 0.7);
        statistics.exposure.begin();
        statistics.exposure.note(ItemKey::of("q"));
        let snapshot = Snapshot { model: Model::new(), statistics };
        let bytes = Snapshot::encode(&snapshot.model, &snapshot.statistics);
        assert!(Snapshot::decode(&bytes).unwrap() == snapshot);
        assert!(matches!(
            Snapshot::decode(&Model::new().encode()),
            Err(Error::Format { found: 1, .. })
        ));
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(Snapshot::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
