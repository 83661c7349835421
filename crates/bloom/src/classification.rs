use quizmentor_core::Level;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the engine says of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Classification {
    /// Whether the text is something that the levels apply to.
    pub verdict: Verdict,
    /// The most probable level; of equals the simplest.
    pub top: Level,
    /// Whether the model leaves the level open: no probability is high enough to rely on `top`.
    pub unsure: bool,
    /// Levels whose probability reaches the model's threshold, or `top` alone if none does; in
    /// the taxonomy's order. Empty when the verdict is [`Verdict::NotAQuestion`].
    pub levels: Vec<Level>,
    /// Calibrated probability of each level. They do not add up to 1: a text may hold several.
    pub probabilities: Probabilities,
    /// The language that the text seems to be written in.
    pub language: Language,
    /// Whether the text was longer than the model reads, so that only its beginning counted.
    pub truncated: bool,
}

/// A probability, 0 to 1, for each level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are named like the levels")]
pub struct Probabilities {
    pub remember: f32,
    pub understand: f32,
    pub apply: f32,
    pub analyze: f32,
    pub evaluate: f32,
    pub create: f32,
}

impl Probabilities {
    /// In the order of [`Level::ALL`].
    #[must_use]
    pub fn to_array(self) -> [f32; 6] {
        [self.remember, self.understand, self.apply, self.analyze, self.evaluate, self.create]
    }

    /// Probability of one level.
    #[must_use]
    pub fn get(self, level: Level) -> f32 {
        self.to_array()[level.index()]
    }
}

impl From<[f32; 6]> for Probabilities {
    fn from([remember, understand, apply, analyze, evaluate, create]: [f32; 6]) -> Self {
        Self { remember, understand, apply, analyze, evaluate, create }
    }
}

/// Whether a text is something that the levels apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// A question or a task.
    Question,
    /// A learning objective.
    Objective,
    /// Neither; the levels mean nothing.
    NotAQuestion {
        /// What it is instead.
        reason: Reason,
    },
    /// Not in English, the only language that the model knows; the levels are a guess.
    OtherLanguage,
    /// Longer than [`quizmentor_core::limits::CLASSIFY_TEXT`]; only the beginning was looked at.
    TooLong,
}

/// Why a text is no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing but white space.
    Empty,
    /// No letters: emoji, digits, punctuation.
    NoWords,
    /// A single word without a question mark.
    Fragment,
    /// Control characters or bytes that were no text.
    Binary,
    /// Program code without a task.
    Code,
    /// An order to the machine, such as to ignore its instructions.
    Injection,
}

/// The language that a text seems to be written in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Language {
    /// ISO 639-3 code, `und` when the text is too short to tell.
    pub code: String,
    /// How sure that is, 0 to 1.
    pub confidence: f32,
    /// Whether the model knows the language. Taken as known when the text is too short to tell.
    pub known: bool,
}
