//! Sessions: a learner working through questions in one mode.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{LearnerId, QuestionId, SessionId, SkillId};

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
    pub why: serde_json::Value,
    /// Probability with which the policy chose it among the candidates, in (0, 1].
    pub propensity: f64,
    /// Predicted probability of a right answer, in (0, 1).
    pub predicted: f64,
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
    /// Questions that a test has asked so far, each once; other modes keep no such list.
    #[serde(default)]
    pub asked: Vec<QuestionId>,
    /// The question on the table.
    pub pending: Option<PendingQuestion>,
    /// Grows by one with each change; guards against lost updates.
    pub version: u64,
}
