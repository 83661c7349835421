//! How many tests showed an item.

use serde::{Deserialize, Serialize};

use crate::{ItemKey, keys::KeyMap};

/// Counts of tests by item.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Exposure {
    tests: u32,
    #[serde(with = "in_order")]
    shown: KeyMap<ItemKey, u32>,
}

impl Exposure {
    /// A further test begins.
    pub fn begin(&mut self) {
        self.tests = self.tests.saturating_add(1);
    }

    /// Notes that a test shows an item.
    pub fn note(&mut self, item: ItemKey) {
        let count = self.shown.entry(item).or_default();
        *count = count.saturating_add(1);
    }

    /// Tests begun.
    #[must_use]
    pub fn tests(&self) -> u32 {
        self.tests
    }

    /// Tests that showed an item.
    #[must_use]
    pub fn shown(&self, item: ItemKey) -> u32 {
        self.shown.get(&item).copied().unwrap_or(0)
    }

    /// Whether a further test may show an item under the cap, a share of the tests. Each item may
    /// be shown once at once, so that the first tests get one.
    #[must_use]
    pub fn allows(&self, item: ItemKey, cap: f64) -> bool {
        let next = self.shown(item).saturating_add(1);
        next == 1 || f64::from(next) <= cap * f64::from(self.tests)
    }

    /// Takes over what another process has counted beyond these counts.
    pub fn catch_up(&mut self, other: &Self) {
        self.tests = self.tests.max(other.tests);
        for (&item, &count) in &other.shown {
            let own = self.shown.entry(item).or_default();
            *own = count.max(*own);
        }
    }
}

/// The counts in order of their keys, so that equal ones have equal bytes.
mod in_order {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::{ItemKey, keys::KeyMap};

    pub(super) fn serialize<S: Serializer>(
        map: &KeyMap<ItemKey, u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<KeyMap<ItemKey, u32>, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_holds_from_the_first_test_on() {
        let (mut exposure, item) = (Exposure::default(), ItemKey::of("q"));
        for test in 1..=100 {
            exposure.begin();
            if exposure.allows(item, 0.25) {
                exposure.note(item);
            }
            assert!(exposure.shown(item) <= (test / 4).max(1), "{test}");
        }
        assert_eq!(exposure.shown(item), 25);
        let mut other = Exposure::default();
        other.catch_up(&exposure);
        assert_eq!(other, exposure);
    }
}
