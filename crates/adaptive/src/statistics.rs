//! What the log of answers says of items, tests and policies, beside the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, ItemKey, Model, calibration::Counts, policy::Tally, select::Exposure};

/// Counts over all answers so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// How each item does.
    pub items: BTreeMap<ItemKey, Counts>,
    /// What the choices of each policy earned.
    pub policies: BTreeMap<String, Tally>,
    /// Which tests showed which items.
    pub exposure: Exposure,
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
    fn a_snapshot_comes_back_and_other_bytes_are_refused() {
        let mut statistics = Statistics::default();
        statistics.items.entry(ItemKey::of("q")).or_default().add(&[2], 0.5, 0.7, true);
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
