//! The port of the vectors: embeddings of questions, searched by cosine similarity.

mod codes;
mod memory;
mod qdrant;

use async_trait::async_trait;
use quizmentor_core::{Level, QuestionId, SkillId, Status};
use uuid::Uuid;

pub use self::{memory::Memory, qdrant::Qdrant};
use crate::{Error, Result};

/// What a search can filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The question's skill; its first part is the subject.
    pub skill: SkillId,
    /// Level that the author states.
    pub level: Option<Level>,
    /// ISO 639-3 code of the language that the stem seems to be written in.
    pub language: String,
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

/// Names the digests of points among all UUIDs.
const DIGEST: Uuid = Uuid::from_u128(0x1f0a_5a1c_6f0e_4c0b_9d3e_52a1_77d0_c4e8);

impl Point {
    /// What tells this point from any other of the same question.
    #[must_use]
    pub fn digest(&self) -> Uuid {
        let Payload { skill, level, language, status } = &self.payload;
        let mut content = format!("{skill}\n{level:?}\n{language}\n{status:?}\n").into_bytes();
        content.extend(self.vector.iter().flat_map(|number| number.to_le_bytes()));
        Uuid::new_v5(&DIGEST, &content)
    }
}

/// A point that is stored, told by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The question.
    pub id: QuestionId,
    /// [`Point::digest`] of what was put.
    pub digest: Uuid,
}

/// A part of all that is stored, in an order of the store's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// Each point once.
    pub points: Vec<Stored>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
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
    /// ISO 639-3 code.
    pub language: Option<String>,
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

    /// The `limit` nearest of the other questions whose similarity to that of `id` is at least
    /// `threshold`.
    ///
    /// # Errors
    /// `NotFound` when `id` is not stored, `Invalid` when `threshold` is not finite.
    async fn near(&self, id: &QuestionId, threshold: f32, limit: usize) -> Result<Vec<Hit>>;

    /// How many questions are stored.
    async fn len(&self) -> Result<usize>;

    /// What is stored, at most `limit` points, at least one, from the page's beginning `from` on:
    /// so it can be compared with what should be.
    ///
    /// # Errors
    /// `Invalid` when `from` is no [`next`](StoredPage::next) of a page.
    async fn stored(&self, from: Option<&str>, limit: usize) -> Result<StoredPage>;
}

/// `vector` with length 1.
fn normalised(vector: &[f32], dimension: usize) -> Result<Vec<f32>> {
    if vector.len() != dimension {
        let problem = format!("has {} numbers; {dimension} are needed", vector.len());
        return Err(Error::invalid("vector", problem));
    }
    let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(Error::invalid("vector", "holds a number that is not finite"));
    }
    if length == 0.0 {
        return Err(Error::invalid("vector", "is zero, which has no direction"));
    }
    Ok(vector.iter().map(|&x| (f64::from(x) / length) as f32).collect())
}

fn check_threshold(threshold: f32) -> Result<()> {
    if threshold.is_finite() {
        return Ok(());
    }
    Err(Error::invalid("threshold", "is not finite"))
}
