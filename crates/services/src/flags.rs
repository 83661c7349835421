//! The port of flags: features that are on for some learners.

mod shares;
mod unleash;

use quizmentor_core::LearnerId;

pub use self::{shares::Shares, unleash::Unleash, unleash::UnleashError};

/// Tells who has which feature. It is asked whenever a question is chosen, so it answers from
/// memory.
pub trait Flags: Send + Sync {
    /// Whether the learner has the feature `flag`. Nobody has one that is not known.
    fn is_on(&self, flag: &str, learner: LearnerId) -> bool;

    /// Share of the learners that have the feature, 0 to 1, where it is told by a share alone.
    fn share(&self, flag: &str) -> Option<f64>;
}
