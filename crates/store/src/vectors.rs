//! The port of the vectors: embeddings of questions, searched by cosine similarity.

mod memory;

use async_trait::async_trait;
use quizmentor_core::{Level, QuestionId, SkillId, Status};

pub use self::memory::Memory;
use crate::Result;

/// What a search can filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The question's skill; its first part is the subject.
    pub skill: SkillId,
    /// Level that the author states.
    pub level: Option<Level>,
    /// Status.
    pub status: Status,
}

/// A question's embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The question.
    pub id: QuestionId,
    /// Of any length but zero; only the direction counts.
    pub vector: Vec<f32>,
    /// What a search can filter by.
    pub payload: Payload,
}

/// Which questions are wanted; `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VectorFilter {
    /// Subject slug.
    pub subject: Option<String>,
    /// Skill.
    pub skill: Option<SkillId>,
    /// Level that the author states.
    pub level: Option<Level>,
    /// Status.
    pub status: Option<Status>,
}

/// A question found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The question.
    pub id: QuestionId,
    /// Cosine similarity, −1 to 1.
    pub similarity: f32,
}

/// The question bank's vectors, all of one dimension.
///
/// Hits come in order of falling similarity, equal ones in order of their ids. Every method fails
/// with [`Unavailable`](crate::Error::Unavailable) when the store does not answer. A vector of the
/// wrong dimension, without direction or with a number that is not finite is `Invalid`.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a bank is empty")]
#[async_trait]
pub trait Vectors: Send + Sync {
    /// Stores `points` by id, all or none; where an id repeats, the last one stays.
    ///
    /// # Errors
    /// `Invalid` for an unsound vector, `Full` when there is no room.
    async fn put(&self, points: &[Point]) -> Result<()>;

    /// Removes those of `ids` that are stored.
    async fn remove(&self, ids: &[QuestionId]) -> Result<()>;

    /// The `limit` questions nearest to `query` among those that match.
    ///
    /// # Errors
    /// `Invalid` for an unsound `query`.
    async fn search(&self, query: &[f32], filter: &VectorFilter, limit: usize) -> Result<Vec<Hit>>;

    /// The other questions whose similarity to that of `id` is at least `threshold`.
    ///
    /// # Errors
    /// `NotFound` when `id` is not stored, `Invalid` when `threshold` is not finite.
    async fn near(&self, id: &QuestionId, threshold: f32) -> Result<Vec<Hit>>;

    /// How many questions are stored.
    async fn len(&self) -> Result<usize>;
}
