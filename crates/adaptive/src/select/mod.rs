//! Choosing the next item, and saying why.

mod pool;
mod practice;
mod review;
mod test;
mod why;

use jiff::{SignedDuration, Timestamp};
use quizmentor_core::{Mode, QuestionId, SkillId};
use rand::Rng;

use crate::{Engine, Learner};

pub use practice::DEFAULT_TARGET;
pub use why::{Reason, Terms, Why};

/// What the choice is limited to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Subject slug; `None` chooses from every subject.
    pub subject: Option<&'a str>,
    /// Skills to stay within; empty means all of the subject.
    pub skills: &'a [SkillId],
    /// Questions not to ask, for instance those already asked in a test.
    pub exclude: &'a [QuestionId],
    /// Wished probability of success in practice; `None` stands for [`DEFAULT_TARGET`].
    pub target: Option<f64>,
}

/// The item chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Dense index in the engine's catalogue.
    pub index: u32,
    /// The question.
    pub question: QuestionId,
    /// Predicted probability of a right answer, (0, 1).
    pub probability: f64,
    /// Probability with which the policy chose this item, (0, 1], given the abilities that it drew.
    pub propensity: f64,
    /// The terms of the choice.
    pub why: Why,
}

/// An item answered wrong is asked again after this at the earliest.
pub const COOL_DOWN: SignedDuration = SignedDuration::from_mins(10);

impl Engine {
    /// The next question in a mode; `None` when the request leaves nothing to ask. The item
    /// answered last comes again only as a review that has fallen due.
    pub fn select(
        &self,
        mode: Mode,
        learner: &Learner,
        request: &Request<'_>,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Selection> {
        match mode {
            Mode::Practice => practice::choose(self, learner, request, now, rng),
            Mode::Review => review::choose(self, learner, request, now),
            Mode::Test => test::choose(self, learner, request, now, rng),
        }
    }
}
