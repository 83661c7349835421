//! What can go wrong.

/// An error of the adaptive engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes that are no encoded state.
    #[error("the {what} cannot be decoded: {reason}")]
    Corrupt {
        /// `learner state` or `model`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// State written by another version of the program.
    #[error("the {what} has format {found}; this program reads format {expected}")]
    Format {
        /// `learner state` or `model`.
        what: &'static str,
        /// First byte found.
        found: u8,
        /// First byte expected.
        expected: u8,
    },
    /// A file lacks a column that is needed.
    #[error("the header lacks the column “{0}”")]
    MissingColumn(&'static str),
    /// A row that cannot be used.
    #[error("line {line}: {reason}")]
    Row {
        /// Line of the file, the header being line 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Skills that are prerequisites of each other.
    #[error("skills are prerequisites of each other: {0}")]
    Cycle(String),
    /// A parameter that makes no sense.
    #[error("{0}")]
    Parameter(String),
    /// A file could not be read.
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn corrupt(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, reason: reason.to_string() }
    }
}
