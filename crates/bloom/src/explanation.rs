//! Which words of a text moved its level.

use quizmentor_core::Level;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::numbers::logit;

/// Words that are weighed at most; those after them are not.
pub(crate) const MOST_WORDS: usize = 48;

/// How much each word speaks for a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The level that is explained, the most probable one.
    pub level: Level,
    /// The first 48 words of the text, in order.
    pub words: Vec<Influence>,
}

/// A word and how much it speaks for a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Influence {
    /// As it stands in the text.
    pub word: String,
    /// By how much the level's log-odds fall without this word: over 0 for a word that speaks for
    /// the level, below 0 for one that speaks against it.
    pub influence: f32,
}

/// The words of a text, and the text without each of them (occlusion, after Zeiler and Fergus,
/// 2014).
pub(crate) fn occluded(text: &str) -> Vec<(&str, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let without = |left_out: usize| {
        let kept = words.iter().enumerate().filter(|(word, _)| *word != left_out);
        kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    words.iter().enumerate().take(MOST_WORDS).map(|(at, &word)| (word, without(at))).collect()
}

/// How far the log-odds fall from `whole` to `without`, both probabilities.
pub(crate) fn influence(whole: f32, without: f32) -> f32 {
    (logit(f64::from(whole)) - logit(f64::from(without))) as f32
}
