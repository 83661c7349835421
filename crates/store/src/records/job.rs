//! Work in the background that must be done.

use quizmentor_core::{LearnerId, Timestamp};
use uuid::Uuid;

/// Work to be done, at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Adding a job whose id waits already changes nothing.
    pub id: Uuid,
    /// Who does it.
    pub kind: String,
    /// The particulars.
    pub payload: serde_json::Value,
    /// Whom it tells of; the job goes when the learner is erased, and does not come after that.
    pub learner: Option<LearnerId>,
    /// Not to be begun before.
    pub due: Timestamp,
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What is to be done, and when; while it is leased, `due` is the end of the lease.
    pub job: NewJob,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it failed the last time.
    pub error: Option<String>,
}
