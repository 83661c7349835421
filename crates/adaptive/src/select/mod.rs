//! Choosing the next item, and saying why.

mod exposure;
mod pilot;
mod pool;
mod practice;
mod review;
mod test;
mod why;

use jiff::{SignedDuration, Timestamp};
use quizmentor_core::{Mode, QuestionId, SkillId, TestPlan};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{Engine, Learner};

pub use exposure::Exposure;
pub use pilot::POLICY as PILOT_POLICY;
pub use practice::{DEFAULT_TARGET, POLICIES, Policy, target_range};
pub use test::{End, Measurement, POLICY as TEST_POLICY, Verdict, measure};
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
    /// How far the target is moved for the session's flow.
    pub shift: f64,
    /// How practice chooses.
    pub policy: &'static Policy,
    /// The test under way.
    pub test: Option<Sitting<'a>>,
}

/// A test under way.
#[derive(Debug, Clone, Copy)]
pub struct Sitting<'a> {
    /// What it asks and when it ends.
    pub plan: &'a TestPlan,
    /// Questions asked, in order.
    pub asked: &'a [QuestionId],
    /// Whether the answers to them were right, as far as given; `None` where not scored.
    pub outcomes: &'a [Option<bool>],
    /// Which tests showed which items.
    pub exposure: &'a Exposure,
}

/// The chance that a policy gave the chosen item, given the same draws and the same short list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Name and version of the policy.
    pub policy: String,
    /// Probability with which it would have chosen the item, [0, 1].
    pub propensity: f64,
    /// Predicted probability of a right answer, averaged over its choices.
    pub predicted: f64,
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
    /// The same of every practice policy; empty in other modes.
    pub chances: Vec<Chance>,
    /// The terms of the choice.
    pub why: Why,
}

/// An item answered wrong is asked again after this at the earliest.
pub const COOL_DOWN: SignedDuration = SignedDuration::from_mins(10);

/// What a policy decided.
struct Choice<'a> {
    index: u32,
    reason: Reason,
    policy: &'a str,
    probability: f64,
    propensity: f64,
    terms: Terms,
    candidates: usize,
}

impl Engine {
    /// The next question in a mode; `None` when the request leaves nothing to ask, or the test has
    /// measured what it was to measure. The item answered last comes again only as a review that
    /// has fallen due.
    pub fn select(
        &self,
        mode: Mode,
        learner: &Learner,
        request: &Request<'_>,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Selection> {
        match mode {
            Mode::Practice => pilot::choose(self, learner, request, now, rng)
                .or_else(|| practice::choose(self, learner, request, now, rng)),
            Mode::Review => review::choose(self, learner, request, now),
            Mode::Test => test::choose(self, learner, request, now, rng),
        }
    }

    /// A choice with the reasons for it; `adjust` adds what is particular to its mode.
    fn selection(
        &self,
        learner: &Learner,
        choice: &Choice<'_>,
        adjust: impl FnOnce(&mut Why),
    ) -> Selection {
        let item = &self.catalog().items()[choice.index as usize];
        let skill = item.skills.first().and_then(|&key| self.catalog().skill(key));
        let mut why = Why {
            sentence: String::new(),
            reason: choice.reason,
            policy: choice.policy.to_owned(),
            model: self.model().version(),
            skill: skill.map(|s| s.id.clone()),
            level: item.level,
            probability: choice.probability,
            target: None,
            retrievability: None,
            terms: choice.terms,
            candidates: choice.candidates as u32,
        };
        adjust(&mut why);
        let skill_is_new = item.skills.first().is_some_and(|&key| learner.skill(key).is_none());
        Selection {
            index: choice.index,
            question: self.catalog().id(choice.index).clone(),
            probability: choice.probability,
            propensity: choice.propensity,
            chances: Vec::new(),
            why: why.worded(skill_is_new),
        }
    }
}
