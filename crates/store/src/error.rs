//! What can go wrong in a store.

use std::error::Error as StdError;

/// The result of a store's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the operation refers to does not exist, or is another learner's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The identifier is taken, or the row was changed since it was read.
    #[error("{0} is taken or was changed meanwhile")]
    Conflict(&'static str),
    /// The value cannot be stored as it is.
    #[error("{what}: {problem}")]
    Invalid {
        /// The argument or field.
        what: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The store cannot be reached or does not answer; trying again may help.
    #[error("{what} is not available")]
    Unavailable {
        /// The store, by path or address where known.
        what: String,
        /// The cause.
        source: Source,
    },
    /// What is stored cannot be read back.
    #[error("{what} is damaged or of another kind")]
    Corrupt {
        /// The file, table or field.
        what: String,
        /// The cause.
        source: Source,
    },
    /// There is no room left.
    #[error("{what} is full")]
    Full {
        /// The store and its limit.
        what: String,
    },
}

impl Error {
    pub(crate) fn invalid(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { what, problem: problem.into() }
    }

    pub(crate) fn unavailable(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    pub(crate) fn corrupt(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Corrupt { what: what.into(), source: source.into() }
    }

    /// The same failure once more, for another who suffers from it; of its cause, the words.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotFound(what) => Self::NotFound(what),
            Self::Conflict(what) => Self::Conflict(what),
            Self::Invalid { what, problem } => Self::invalid(what, problem),
            Self::Unavailable { what, source } => Self::unavailable(what, source.to_string()),
            Self::Corrupt { what, source } => Self::corrupt(what, source.to_string()),
            Self::Full { what } => Self::Full { what: what.clone() },
        }
    }
}
