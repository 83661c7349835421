use std::cmp::Reverse;

use quizmentor_core::{Level, Question};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Classification, Verdict,
    rules::{self, Item, finding},
};

/// A stem of fewer words is read with its options.
const FEWEST_WORDS: usize = 4;
/// A stated level of less than this probability is worth a finding.
const UNLIKELY: f32 = 0.2;

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

/// The rules of item writing that are checked (after Haladyna, Downing and Rodriguez, 2002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The stem is empty.
    StemEmpty,
    /// The stem is longer than a learner reads with care.
    StemTooLong,
    /// The stem asks nothing.
    NotAQuestion,
    /// The text is in a language that the engine does not know.
    OtherLanguage,
    /// The stated level is far from what the text asks.
    LevelDiffers,
    /// A negative word that is easy to miss.
    NegativeStem,
    /// A negative stem with a negative option.
    DoubleNegative,
    /// “a” or “an” before the blank fits some options only.
    ArticleCue,
    /// Only the key repeats words of the stem.
    KeyEchoesStem,
    /// The stem holds an accepted answer.
    AnswerInStem,
    /// A statement with an absolute word.
    AbsoluteStatement,
    /// The stem speaks of a figure that is not there.
    MissingFigure,
    /// Mark-up that the stated format does not render.
    UnsupportedMarkup,
    /// Control characters or the traces of a wrong encoding.
    BrokenText,
    /// Neither explanation nor feedback for the key.
    NoExplanation,
    /// Too few options to make guessing hard.
    TooFewOptions,
    /// Two options are the same.
    DuplicateOptions,
    /// Two options differ in case, articles or punctuation alone.
    NearDuplicateOptions,
    /// “All of the above”.
    AllOfTheAbove,
    /// “None of the above”.
    NoneOfTheAbove,
    /// The key is clearly the longest option.
    LongestKey,
    /// A distractor is far longer than the other options.
    UnevenOptions,
    /// Only distractors hold absolute words.
    AbsoluteDistractors,
    /// Ranges of numbers that overlap.
    OverlappingRanges,
    /// Every option of a multiple-choice question is right.
    AllOptionsRight,
    /// A multiple-choice question has one right option.
    OneOptionRight,
    /// The last pair of a matching question follows from the others.
    NoSpareAnswer,
    /// A pattern that accepts any answer.
    AcceptsAnything,
}

/// What is classified of a question: its stem, with the options where it is too short to stand
/// alone.
pub(crate) fn text_to_classify(question: &Question) -> String {
    let item = Item::new(question);
    let mut text = item.stem;
    if text.split_whitespace().count() < FEWEST_WORDS {
        for option in &item.options {
            text.push('\n');
            text.push_str(&option.text);
        }
    }
    text
}

pub(crate) fn validate(question: &Question, classification: Classification) -> Validation {
    let level = LevelCheck::new(question.level, &classification);
    let mut findings = rules::check(&Item::new(question));
    findings.extend(level_finding(&level));
    findings.extend(verdict_finding(classification.verdict, &findings));
    findings.sort_by_key(|finding| Reverse(finding.severity));
    Validation { classification, level, findings }
}

impl LevelCheck {
    fn new(stated: Option<Level>, classification: &Classification) -> Self {
        let predicted = classification.top;
        let agreement = match (classification.verdict, stated) {
            (Verdict::NotAQuestion { .. } | Verdict::OtherLanguage, _) => Agreement::Unknown,
            (_, None) => Agreement::Unstated,
            (_, Some(stated)) if classification.levels.contains(&stated) => Agreement::Agrees,
            (_, Some(stated)) if stated.index().abs_diff(predicted.index()) == 1 => Agreement::Near,
            (_, Some(_)) => Agreement::Differs,
        };
        let confidence = classification.probabilities.get(stated.unwrap_or(predicted));
        Self { stated, predicted, agreement, confidence }
    }
}

fn level_finding(check: &LevelCheck) -> Option<Finding> {
    let stated = check.stated?;
    let sure = check.agreement == Agreement::Differs && check.confidence < UNLIKELY;
    sure.then(|| {
        finding(
            Rule::LevelDiffers,
            Severity::Info,
            "level",
            format!(
                "The stated level is “{stated}”, but the text reads as “{}”. Change the level, or \
                 the task so that it asks for more than its words do now.",
                check.predicted
            ),
        )
    })
}

/// An empty stem has its own finding already.
fn verdict_finding(verdict: Verdict, found: &[Finding]) -> Option<Finding> {
    let (rule, severity, message) = match verdict {
        Verdict::NotAQuestion { .. } if found.iter().all(|f| f.rule != Rule::StemEmpty) => (
            Rule::NotAQuestion,
            Severity::Warning,
            "The stem asks nothing that can be understood. Write a full question or task.",
        ),
        Verdict::OtherLanguage => (
            Rule::OtherLanguage,
            Severity::Info,
            "The text does not seem to be English. Levels and most rules here know English only; \
             judge them yourself.",
        ),
        _ => return None,
    };
    Some(finding(rule, severity, "stem", message))
}
