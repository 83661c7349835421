//! A/B tests: two policies at once, each learner with one of them.

use quizmentor_adaptive::select::Policy;
use quizmentor_core::LearnerId;
use quizmentor_services::flags::Flags;

/// Two policies that are compared. Who has the flag of the experiment's name gets the treatment.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    name: String,
    control: &'static Policy,
    treatment: &'static Policy,
}

/// Why there can be no such experiment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// The name of a policy is not known.
    #[error("there is no policy “{0}”")]
    UnknownPolicy(String),
    /// Both arms are the same.
    #[error("control and treatment are both “{0}”")]
    SamePolicy(String),
}

impl Experiment {
    /// The experiment `name`, in which the learners that have the flag `name` get the policy
    /// `treatment` and the others `control`.
    ///
    /// # Errors
    /// When a policy is unknown or both are the same.
    pub fn new(name: &str, control: &str, treatment: &str) -> Result<Self, ExperimentError> {
        let policy = |name: &str| {
            Policy::named(name).ok_or_else(|| ExperimentError::UnknownPolicy(name.to_owned()))
        };
        let (control, treatment) = (policy(control)?, policy(treatment)?);
        if control == treatment {
            return Err(ExperimentError::SamePolicy(control.name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), control, treatment })
    }

    /// Its name, and that of its flag.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The policies of control and treatment.
    #[must_use]
    pub fn policies(&self) -> [&'static Policy; 2] {
        [self.control, self.treatment]
    }

    /// The policy of a learner.
    #[must_use]
    pub fn policy_of(&self, flags: &dyn Flags, learner: LearnerId) -> &'static Policy {
        if flags.is_on(&self.name, learner) { self.treatment } else { self.control }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let new = |treatment| Experiment::new("a", "practice-1", treatment);
        assert!(matches!(new("practice-0"), Err(ExperimentError::UnknownPolicy(_))));
        assert!(matches!(new("practice-1"), Err(ExperimentError::SamePolicy(_))));
    }
}
