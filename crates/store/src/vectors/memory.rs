//! The vectors of one process, searched one by one.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use async_trait::async_trait;
use quizmentor_core::QuestionId;
use uuid::Uuid;

use super::{
    Hit, Payload, Point, Stored, StoredPage, VectorFilter, Vectors, check_threshold,
    codes::{Codes, Query},
    normalised,
};
use crate::{Error, Result};

/// Vectors in memory. A search reads all of them in eight bits a number, and in full those that
/// may be among its hits, so that it misses none.
pub struct Memory {
    dimension: usize,
    capacity: usize,
    rows: Arc<RwLock<Rows>>,
}

/// Row i belongs to question i; its `dimension` numbers have length 1.
#[derive(Default)]
struct Rows {
    numbers: Vec<f32>,
    codes: Codes,
    questions: Vec<Entry>,
    positions: BTreeMap<QuestionId, usize>,
}

struct Entry {
    id: QuestionId,
    payload: Payload,
    digest: Uuid,
}

impl Memory {
    /// Room for `capacity` vectors of `dimension` numbers; memory is taken as it is needed.
    #[must_use]
    pub fn new(dimension: NonZeroUsize, capacity: usize) -> Self {
        Self { dimension: dimension.get(), capacity, rows: Arc::default() }
    }

    /// Works on the rows where it holds up no other task.
    async fn read<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Rows) -> R + Send + 'static,
    ) -> Result<R> {
        let rows = Arc::clone(&self.rows);
        let reading = move || work(&rows.read().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(reading)
            .await
            .map_err(|error| Error::unavailable("the vectors in memory", error))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn row(&self, position: usize, dimension: usize) -> &[f32] {
        &self.numbers[position * dimension..][..dimension]
    }

    fn set(&mut self, point: &Point, row: &[f32]) {
        let Point { id, payload, .. } = point;
        let entry = Entry { id: id.clone(), payload: payload.clone(), digest: point.digest() };
        let end = self.questions.len();
        let position = *self.positions.entry(id.clone()).or_insert(end);
        if position == end {
            self.numbers.extend_from_slice(row);
            self.questions.push(entry);
        } else {
            self.numbers[position * row.len()..][..row.len()].copy_from_slice(row);
            self.questions[position] = entry;
        }
        self.codes.set(position, row);
    }

    /// The last row takes the place of the removed one.
    fn remove(&mut self, id: &QuestionId, dimension: usize) {
        let Some(position) = self.positions.remove(id) else { return };
        let last = self.questions.len() - 1;
        self.numbers.copy_within(last * dimension.., position * dimension);
        self.numbers.truncate(last * dimension);
        self.codes.swap_remove(position, dimension);
        self.questions.swap_remove(position);
        if let Some(moved) = self.questions.get(position) {
            self.positions.insert(moved.id.clone(), position);
        }
    }

    /// The `limit` nearest to `query` of those that are `wanted` and at least `threshold` near.
    fn nearest(
        &self,
        query: &[f32],
        wanted: impl Fn(&Entry) -> bool,
        threshold: f32,
        limit: usize,
    ) -> Vec<Hit> {
        let coded = Query::new(query);
        let mut estimates: Vec<_> = self
            .codes
            .estimates(&coded)
            .enumerate()
            .filter(|(position, estimate)| {
                estimate.most() >= threshold && wanted(&self.questions[*position])
            })
            .collect();
        if (1..estimates.len()).contains(&limit) {
            // `limit` rows are at least this near, so whatever is less near is no hit.
            let (_, (_, last), _) = estimates
                .select_nth_unstable_by(limit - 1, |a, b| b.1.least().total_cmp(&a.1.least()));
            let least = last.least();
            estimates.retain(|(_, estimate)| estimate.most() >= least);
        }
        let mut found: Vec<_> = estimates
            .into_iter()
            .map(|(position, _)| {
                let similarity = dot(query, self.row(position, query.len()));
                (position, similarity.clamp(-1.0, 1.0))
            })
            .filter(|(_, similarity)| *similarity >= threshold)
            .collect();
        found.sort_unstable_by(|a, b| self.order(a, b));
        found.truncate(limit);
        let hit = |(position, similarity): (usize, f32)| Hit {
            id: self.questions[position].id.clone(),
            similarity,
        };
        found.into_iter().map(hit).collect()
    }

    fn order(&self, a: &(usize, f32), b: &(usize, f32)) -> Ordering {
        let ids = || self.questions[a.0].id.cmp(&self.questions[b.0].id);
        b.1.total_cmp(&a.1).then_with(ids)
    }
}

impl VectorFilter {
    fn matches(&self, payload: &Payload) -> bool {
        self.subject.as_ref().is_none_or(|subject| payload.skill.subject() == subject)
            && self.skill.as_ref().is_none_or(|skill| payload.skill == *skill)
            && self.level.is_none_or(|level| payload.level == Some(level))
            && self.language.as_ref().is_none_or(|language| payload.language == *language)
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
            .map(|point| normalised(&point.vector, self.dimension))
            .collect::<Result<Vec<_>>>()?;
        let mut rows = self.write();
        let new: HashSet<_> =
            points.iter().map(|p| &p.id).filter(|id| !rows.positions.contains_key(id)).collect();
        if rows.questions.len() + new.len() > self.capacity {
            return Err(Error::Full { what: format!("the store of {} vectors", self.capacity) });
        }
        for (point, row) in points.iter().zip(&sound) {
            rows.set(point, row);
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
        let query = normalised(query, self.dimension)?;
        let filter = filter.clone();
        let wanted = move |entry: &Entry| filter.matches(&entry.payload);
        self.read(move |rows| rows.nearest(&query, wanted, f32::NEG_INFINITY, limit)).await
    }

    async fn near(&self, id: &QuestionId, threshold: f32, limit: usize) -> Result<Vec<Hit>> {
        check_threshold(threshold)?;
        let (id, dimension) = (id.clone(), self.dimension);
        self.read(move |rows| {
            let position = *rows.positions.get(&id).ok_or(Error::NotFound("vector"))?;
            let query = rows.row(position, dimension);
            Ok(rows.nearest(query, |other| other.id != id, threshold, limit))
        })
        .await?
    }

    async fn len(&self) -> Result<usize> {
        self.read(|rows| rows.questions.len()).await
    }

    async fn stored(&self, from: Option<&str>, limit: usize) -> Result<StoredPage> {
        let from = from
            .map(QuestionId::new)
            .transpose()
            .map_err(|error| Error::invalid("from", error.to_string()))?;
        self.read(move |rows| {
            let begin = from.as_ref().map_or(Bound::Unbounded, Bound::Included);
            let mut rest = rows.positions.range((begin, Bound::Unbounded));
            let points = rest
                .by_ref()
                .take(limit.max(1))
                .map(|(id, &position)| Stored {
                    id: id.clone(),
                    digest: rows.questions[position].digest,
                })
                .collect();
            StoredPage { points, next: rest.next().map(|(id, _)| id.to_string()) }
        })
        .await
    }
}
