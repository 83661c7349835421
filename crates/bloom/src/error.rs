use std::path::PathBuf;

/// Why an artifact cannot be loaded or rows cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the artifact cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the artifact is not what it should be.
    #[error("{}: {problem}", path.display())]
    Artifact {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A row to evaluate is malformed or cannot be read.
    #[error("line {line}: {problem}")]
    Row {
        /// Counted from 1.
        line: u64,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// There was no row to evaluate.
    #[error("no rows to evaluate")]
    NoRows,
}
