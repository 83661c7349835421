//! A/B tests: two policies at once, each learner with one of them for good.

use quizmentor_adaptive::select::Policy;
use quizmentor_core::LearnerId;
use sha2::{Digest, Sha256};

/// Two policies that are compared. Which one a learner gets follows from the learner's id and the
/// experiment's name alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    name: String,
    control: &'static Policy,
    treatment: &'static Policy,
    share: f64,
}

/// Why there can be no such experiment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExperimentError {
    /// The name of a policy is not known.
    #[error("there is no policy “{0}”")]
    UnknownPolicy(String),
    /// Both arms are the same.
    #[error("control and treatment are both “{0}”")]
    SamePolicy(String),
    /// The share is out of its range.
    #[error("the share {0} is not within 0 to 1")]
    Share(f64),
}

impl Experiment {
    /// The experiment `name`, in which the share `share` of the learners, 0 to 1, gets the policy
    /// `treatment` and the others `control`.
    ///
    /// # Errors
    /// When a policy is unknown, both are the same, or the share is out of its range.
    pub fn new(
        name: &str,
        control: &str,
        treatment: &str,
        share: f64,
    ) -> Result<Self, ExperimentError> {
        let policy = |name: &str| {
            Policy::named(name).ok_or_else(|| ExperimentError::UnknownPolicy(name.to_owned()))
        };
        let (control, treatment) = (policy(control)?, policy(treatment)?);
        if control == treatment {
            return Err(ExperimentError::SamePolicy(control.name.to_owned()));
        }
        if !(0.0..=1.0).contains(&share) {
            return Err(ExperimentError::Share(share));
        }
        Ok(Self { name: name.to_owned(), control, treatment, share })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The policies of control and treatment.
    #[must_use]
    pub fn policies(&self) -> [&'static Policy; 2] {
        [self.control, self.treatment]
    }

    /// Share of the learners that get the treatment.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The policy of a learner.
    #[must_use]
    pub fn policy_of(&self, learner: LearnerId) -> &'static Policy {
        let digest = Sha256::new().chain_update(&self.name).chain_update(learner.0).finalize();
        let draw = digest[..4].iter().fold(0.0, |sum, byte| (sum + f64::from(*byte)) * 256.0);
        if draw / 256_f64.powi(5) < self.share { self.treatment } else { self.control }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn treated(name: &str, share: f64) -> Vec<u128> {
        let experiment = Experiment::new(name, "practice-1", "practice-2", share).unwrap();
        let is_treated =
            |n: &u128| experiment.policy_of(LearnerId(Uuid::from_u128(*n))).name == "practice-2";
        (0..2_000).filter(is_treated).collect()
    }

    #[test]
    fn the_share_is_kept_and_a_learner_stays_in_its_arm() {
        assert_eq!((treated("a", 0.0).len(), treated("a", 1.0).len()), (0, 2_000));
        let fifth = treated("a", 0.2);
        assert!((340..460).contains(&fifth.len()), "{}", fifth.len());
        assert_eq!(fifth, treated("a", 0.2));
        let half = treated("a", 0.5);
        assert!(fifth.iter().all(|learner| half.contains(learner)), "a growing share moves nobody");
        assert_ne!(half, treated("b", 0.5));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let new = |treatment, share| Experiment::new("a", "practice-1", treatment, share);
        assert!(matches!(new("practice-0", 0.5), Err(ExperimentError::UnknownPolicy(_))));
        assert!(matches!(new("practice-1", 0.5), Err(ExperimentError::SamePolicy(_))));
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(new("practice-2", share), Err(ExperimentError::Share(_))));
        }
    }
}
