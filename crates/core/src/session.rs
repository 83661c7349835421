//! Sessions: a learner working through questions in one mode.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{LearnerId, Level, QuestionId, SessionId, SkillId, limits};

/// How the next question is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Questions at a success probability that teaches.
    #[default]
    Practice,
    /// Questions whose review has fallen due, the least retrievable first.
    Review,
    /// Questions that measure ability fastest.
    Test,
}

/// What a test asks and when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestPlan {
    /// Shares of the questions by content; empty leaves the content to the test.
    #[serde(default)]
    pub blueprint: Vec<Quota>,
    /// Questions after which it ends at the latest, 1 to [`limits::TEST_LENGTH`].
    #[serde(default = "longest")]
    pub length: usize,
    /// Standard error of the ability, in logits, below which it ends.
    #[serde(default)]
    pub standard_error: Option<f64>,
    /// Passing mark: probability of success on a typical question of the scope, 0 to 1. The test
    /// ends when the learner is above or below with 95 % probability.
    #[serde(default)]
    pub cut: Option<f64>,
    /// Largest share of the tests that may show one question, 0 to 1; 0.25 unless given, no limit
    /// if null.
    #[serde(default = "usual_exposure")]
    pub exposure: Option<f64>,
}

fn longest() -> usize {
    limits::TEST_LENGTH
}

fn usual_exposure() -> Option<f64> {
    Some(0.25)
}

impl Default for TestPlan {
    fn default() -> Self {
        Self {
            blueprint: Vec::new(),
            length: longest(),
            standard_error: None,
            cut: None,
            exposure: usual_exposure(),
        }
    }
}

/// A share of a test's questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Of this skill; of any if absent.
    #[serde(default)]
    pub skill: Option<SkillId>,
    /// Of this Bloom level; of any if absent.
    #[serde(default)]
    pub level: Option<Level>,
    /// Weight against the other quotas, above 0.
    pub share: f64,
}

/// The question that a session waits on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingQuestion {
    /// The question.
    pub question: QuestionId,
    /// [`Question::content_id`](crate::Question::content_id) of what was shown.
    pub content: Uuid,
    /// Presented position → position in the author's order, of options or of matching answers.
    pub order: Vec<u8>,
    /// When it was chosen.
    pub shown_at: Timestamp,
    /// Why it was chosen: the terms of the choice as shown to the learner.
    pub why: Arc<Value>,
    /// Probability with which the policy chose it among the candidates, in (0, 1].
    pub propensity: f64,
    /// Predicted probability of a right answer, in (0, 1).
    pub predicted: f64,
    /// Whether it is on trial: its answer is not scored.
    #[serde(default)]
    pub pilot: bool,
    /// The chances that each policy gave it, as the adaptive engine tells them.
    #[serde(default)]
    pub chances: Arc<Value>,
}

/// A session's durable state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub learner: LearnerId,
    /// How questions are chosen.
    pub mode: Mode,
    /// Subject slug; `None` practises everything.
    pub subject: Option<String>,
    /// Skills to stay within; empty means the whole subject.
    pub skills: Vec<SkillId>,
    /// Wished probability of success in practice, (0, 1).
    pub target: Option<f64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was ended, or found nothing more to ask.
    pub ended_at: Option<Timestamp>,
    /// Answers given.
    pub answered: u32,
    /// Answers fully right.
    pub correct: u32,
    /// What a test asks and when it ends; other modes have none.
    #[serde(default)]
    pub test: Option<TestPlan>,
    /// Questions that a test has asked so far, each once; other modes keep no such list.
    #[serde(default)]
    pub asked: Vec<QuestionId>,
    /// Whether the answers to `asked` were fully right, as far as given; `None` where an answer
    /// is not scored.
    #[serde(default)]
    pub outcomes: Vec<Option<bool>>,
    /// What a test had measured when it ended; other modes measure nothing.
    #[serde(default)]
    pub measured: Value,
    /// Challenge against skill in practice, as the adaptive engine tells it.
    #[serde(default)]
    pub flow: Value,
    /// The question on the table.
    pub pending: Option<PendingQuestion>,
    /// Grows by one with each change; guards against lost updates.
    pub version: u64,
}
