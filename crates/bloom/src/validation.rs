use quizmentor_core::{Level, Question};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Classification;

/// What the engine says of a question as an author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Level of the stem, read with its options where it is too short to stand alone.
    pub classification: Classification,
    /// How that compares with the author's level.
    pub level: LevelCheck,
    /// Flaws of the item, the gravest first; empty when none was found.
    pub findings: Vec<Finding>,
}

/// The author's level beside the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LevelCheck {
    /// What the author states.
    pub stated: Option<Level>,
    /// What the engine holds most probable.
    pub predicted: Level,
    /// How the two compare.
    pub agreement: Agreement,
    /// Calibrated probability of the stated level, or of the predicted one if none is stated.
    pub confidence: f32,
}

/// How the author's level compares with the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The stated level is among the engine's.
    Agrees,
    /// The stated level is next to the engine's top level.
    Near,
    /// The stated level is two or more away from the top level and not among the engine's.
    Differs,
    /// The author states no level.
    Unstated,
    /// The engine cannot judge this text.
    Unknown,
}

/// A flaw of an item and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Which rule found it.
    pub rule: Rule,
    /// How grave it is.
    pub severity: Severity,
    /// Where it is, a path such as `body.options[2].text`.
    pub field: String,
    /// What is wrong and what to do, in plain words.
    pub message: String,
}

/// How grave a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely to weaken the item.
    Warning,
    /// The item cannot work as it is.
    Error,
}

/// The rules of item writing that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The stem is empty.
    StemEmpty,
}

pub(crate) fn text_to_classify(question: &Question) -> String {
    question.stem.clone()
}

pub(crate) fn validate(question: &Question, classification: Classification) -> Validation {
    let level = LevelCheck {
        stated: question.level,
        predicted: classification.top,
        agreement: Agreement::Unknown,
        confidence: 0.0,
    };
    Validation { classification, level, findings: vec![] }
}
