//! Flags without a service.

use std::collections::BTreeMap;

use quizmentor_core::LearnerId;
use sha2::{Digest, Sha256};

use super::Flags;

/// A share of the learners for each flag. Whether a learner is among them follows from the
/// learner's id and the flag's name alone: it is the same everywhere and at all times, and a share
/// that grows takes the feature from nobody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares(BTreeMap<String, f64>);

impl FromIterator<(String, f64)> for Shares {
    /// From names and shares, 0 to 1.
    fn from_iter<I: IntoIterator<Item = (String, f64)>>(shares: I) -> Self {
        Self(shares.into_iter().collect())
    }
}

impl Flags for Shares {
    fn is_on(&self, flag: &str, learner: LearnerId) -> bool {
        let digest = Sha256::new().chain_update(flag).chain_update(learner.0).finalize();
        let draw = digest[..4].iter().fold(0.0, |sum, byte| (sum + f64::from(*byte)) * 256.0);
        self.share(flag).is_some_and(|share| draw / 256_f64.powi(5) < share)
    }

    fn share(&self, flag: &str) -> Option<f64> {
        self.0.get(flag).copied()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn having(flag: &str, share: f64) -> Vec<u128> {
        let shares = Shares::from_iter([(flag.to_owned(), share)]);
        (0..2_000).filter(|n| shares.is_on(flag, LearnerId(Uuid::from_u128(*n)))).collect()
    }

    #[test]
    fn the_share_is_kept_and_a_learner_keeps_the_feature() {
        assert_eq!((having("a", 0.0).len(), having("a", 1.0).len()), (0, 2_000));
        let fifth = having("a", 0.2);
        assert!((340..460).contains(&fifth.len()), "{}", fifth.len());
        assert_eq!(fifth, having("a", 0.2));
        let half = having("a", 0.5);
        assert!(fifth.iter().all(|learner| half.contains(learner)), "a growing share moves nobody");
        assert_ne!(half, having("b", 0.5));
    }
}
