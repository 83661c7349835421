//! The vectors of one process, searched one by one.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use quizmentor_core::QuestionId;

use super::{Hit, Payload, Point, VectorFilter, Vectors};
use crate::{Error, Result};

/// Vectors in memory; a search reads each of them, which takes about a millisecond for 10,000 of
/// 384 dimensions.
pub struct Memory {
    dimension: usize,
    capacity: usize,
    rows: RwLock<Rows>,
}

/// Row i belongs to question i; its `dimension` numbers have length 1.
#[derive(Default)]
struct Rows {
    numbers: Vec<f32>,
    questions: Vec<(QuestionId, Payload)>,
    positions: HashMap<QuestionId, usize>,
}

impl Memory {
    /// Room for `capacity` vectors of `dimension` numbers; memory is taken as it is needed.
    #[must_use]
    pub fn new(dimension: NonZeroUsize, capacity: usize) -> Self {
        Self { dimension: dimension.get(), capacity, rows: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// `vector` with length 1.
    fn normalised(&self, vector: &[f32]) -> Result<Vec<f32>> {
        if vector.len() != self.dimension {
            let problem = format!("has {} numbers; {} are needed", vector.len(), self.dimension);
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
}

impl Rows {
    fn row(&self, position: usize, dimension: usize) -> &[f32] {
        &self.numbers[position * dimension..][..dimension]
    }

    fn set(&mut self, id: &QuestionId, payload: &Payload, row: &[f32]) {
        let question = (id.clone(), payload.clone());
        if let Some(&position) = self.positions.get(id) {
            self.numbers[position * row.len()..][..row.len()].copy_from_slice(row);
            self.questions[position] = question;
        } else {
            self.positions.insert(id.clone(), self.questions.len());
            self.numbers.extend_from_slice(row);
            self.questions.push(question);
        }
    }

    /// The last row takes the place of the removed one.
    fn remove(&mut self, id: &QuestionId, dimension: usize) {
        let Some(position) = self.positions.remove(id) else { return };
        let last = self.questions.len() - 1;
        self.numbers.copy_within(last * dimension.., position * dimension);
        self.numbers.truncate(last * dimension);
        self.questions.swap_remove(position);
        if let Some((moved, _)) = self.questions.get(position) {
            self.positions.insert(moved.clone(), position);
        }
    }

    /// Position and similarity to `query` of the questions that are `wanted`.
    fn scan<'a>(
        &'a self,
        query: &'a [f32],
        wanted: impl Fn(&QuestionId, &Payload) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, f32)> + 'a {
        let rows = self.numbers.chunks_exact(query.len()).zip(&self.questions).enumerate();
        rows.filter(move |(_, (_, (id, payload)))| wanted(id, payload))
            .map(|(position, (row, _))| (position, dot(query, row).clamp(-1.0, 1.0)))
    }

    fn order(&self, a: &(usize, f32), b: &(usize, f32)) -> Ordering {
        let ids = || self.questions[a.0].0.cmp(&self.questions[b.0].0);
        b.1.total_cmp(&a.1).then_with(ids)
    }

    fn hits(&self, mut found: Vec<(usize, f32)>) -> Vec<Hit> {
        found.sort_unstable_by(|a, b| self.order(a, b));
        let hit = |(position, similarity): (usize, f32)| Hit {
            id: self.questions[position].0.clone(),
            similarity,
        };
        found.into_iter().map(hit).collect()
    }
}

impl VectorFilter {
    fn matches(&self, payload: &Payload) -> bool {
        self.subject.as_ref().is_none_or(|subject| payload.skill.subject() == subject)
            && self.skill.as_ref().is_none_or(|skill| payload.skill == *skill)
            && self.level.is_none_or(|level| payload.level == Some(level))
            && self.status.is_none_or(|status| payload.status == status)
    }
}

/// The inner product in eight sums, which the compiler can keep in one vector register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest = rest.map(|(x, y)| x * y).sum::<f32>();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[async_trait]
impl Vectors for Memory {
    async fn put(&self, points: &[Point]) -> Result<()> {
        let sound = points
            .iter()
            .map(|point| self.normalised(&point.vector))
            .collect::<Result<Vec<_>>>()?;
        let mut rows = self.write();
        let new: HashSet<_> =
            points.iter().map(|p| &p.id).filter(|id| !rows.positions.contains_key(id)).collect();
        if rows.questions.len() + new.len() > self.capacity {
            return Err(Error::Full { what: format!("the store of {} vectors", self.capacity) });
        }
        for (point, row) in points.iter().zip(&sound) {
            rows.set(&point.id, &point.payload, row);
        }
        Ok(())
    }

    async fn remove(&self, ids: &[QuestionId]) -> Result<()> {
        let mut rows = self.write();
        for id in ids {
            rows.remove(id, self.dimension);
        }
        Ok(())
    }

    async fn search(&self, query: &[f32], filter: &VectorFilter, limit: usize) -> Result<Vec<Hit>> {
        let query = self.normalised(query)?;
        let rows = self.read();
        let mut found: Vec<_> = rows.scan(&query, |_, payload| filter.matches(payload)).collect();
        if limit < found.len() {
            found.select_nth_unstable_by(limit, |a, b| rows.order(a, b));
            found.truncate(limit);
        }
        Ok(rows.hits(found))
    }

    async fn near(&self, id: &QuestionId, threshold: f32) -> Result<Vec<Hit>> {
        if !threshold.is_finite() {
            return Err(Error::invalid("threshold", "is not finite"));
        }
        let rows = self.read();
        let position = *rows.positions.get(id).ok_or(Error::NotFound("vector"))?;
        let query = rows.row(position, self.dimension);
        let others = rows.scan(query, |other, _| other != id);
        Ok(rows.hits(others.filter(|(_, similarity)| *similarity >= threshold).collect()))
    }

    async fn len(&self) -> Result<usize> {
        Ok(self.read().questions.len())
    }
}
