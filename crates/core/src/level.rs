//! The six cognitive levels of Bloom's taxonomy as revised by Anderson and Krathwohl (2001).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A level of the revised taxonomy, ordered from the simplest to the most complex.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Recall facts and basic concepts.
    Remember,
    /// Explain ideas or concepts.
    Understand,
    /// Use knowledge in new situations.
    Apply,
    /// Draw connections among ideas.
    Analyze,
    /// Justify a judgement.
    Evaluate,
    /// Produce new or original work.
    Create,
}

impl Level {
    /// All levels in order; a level's position here is its [`index`](Self::index).
    pub const ALL: [Self; 6] = [
        Self::Remember,
        Self::Understand,
        Self::Apply,
        Self::Analyze,
        Self::Evaluate,
        Self::Create,
    ];

    /// Position in [`Level::ALL`], 0 to 5.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The level at `index`, or `None` from 6 on.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Lower-case English name, as used in JSON and tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Remember => "remember",
            Self::Understand => "understand",
            Self::Apply => "apply",
            Self::Analyze => "analyze",
            Self::Evaluate => "evaluate",
            Self::Create => "create",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown Bloom level “{0}”; expected remember, understand, apply, analyze, evaluate or create"
)]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// Accepts the revised names in any case, British “analyse”, and the nouns of the 1956
    /// taxonomy (knowledge, comprehension, application, analysis, synthesis, evaluation).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "remember" | "knowledge" => Ok(Self::Remember),
            "understand" | "comprehension" => Ok(Self::Understand),
            "apply" | "application" => Ok(Self::Apply),
            "analyze" | "analyse" | "analysis" => Ok(Self::Analyze),
            "evaluate" | "evaluation" => Ok(Self::Evaluate),
            "create" | "synthesis" => Ok(Self::Create),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(Level::from_index(level.index()), Some(level));
        }
    }

    #[test]
    fn old_nouns_map_to_revised_levels() {
        assert_eq!("Synthesis".parse(), Ok(Level::Create));
        assert_eq!("Evaluation".parse(), Ok(Level::Evaluate));
        assert!("BT5".parse::<Level>().is_err());
    }
}
