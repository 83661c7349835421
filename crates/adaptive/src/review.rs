//! Reviews: when to ask an item again, by FSRS-6 through the crate `fsrs`.
//!
//! An item's memory begins with its first answer and moves with answers a day and more after the
//! last one that moved it; what happens within a day is the learner model's matter.

use std::sync::LazyLock;

use fsrs::{FSRS, MemoryState, NextStates};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Catalog, Item, Learner, Outcome};

/// Probability of recall at which a review falls due.
pub const DESIRED_RETENTION: f32 = 0.9;
const SECONDS_PER_DAY: i64 = 86_400;

static SCHEDULER: LazyLock<FSRS> = LazyLock::new(FSRS::default);

/// How well an item was recalled, in the terms of FSRS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rating {
    /// Not recalled.
    Again,
    /// Recalled slowly, with a hint, or in part.
    Hard,
    /// Recalled.
    Good,
}

impl Rating {
    /// Wrong is [`Again`](Self::Again); partly right, with a hint or in more than twice the
    /// item's usual time is [`Hard`](Self::Hard); right is [`Good`](Self::Good).
    #[must_use]
    pub fn of(item: &Item, outcome: &Outcome) -> Self {
        let slow = outcome.elapsed_ms.is_some_and(|ms| ms > item.expected_ms.saturating_mul(2));
        if outcome.worth() <= 0.0 {
            Self::Again
        } else if !outcome.correct || outcome.hint || slow {
            Self::Hard
        } else {
            Self::Good
        }
    }

    fn pick(self, states: NextStates) -> fsrs::ItemState {
        match self {
            Self::Again => states.again,
            Self::Hard => states.hard,
            Self::Good => states.good,
        }
    }
}

/// The memory of an item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Days after which recall has fallen to 90 %.
    pub stability: f32,
    /// 1 (easy to keep) to 10 (hard to keep).
    pub difficulty: f32,
    /// Seconds since 1970 when the memory last moved.
    pub(crate) at: i64,
}

impl Memory {
    pub(crate) fn is_valid(&self) -> bool {
        self.stability.is_finite()
            && self.stability > 0.0
            && self.difficulty.is_finite()
            && self.difficulty > 0.0
    }

    /// Probability of recall at `now`, (0, 1].
    #[must_use]
    pub fn retrievability(&self, now: Timestamp) -> f64 {
        let days = (now.as_second().saturating_sub(self.at)).max(0) as f64 / SECONDS_PER_DAY as f64;
        let state = MemoryState { stability: self.stability, difficulty: self.difficulty };
        f64::from(fsrs::current_retrievability(state, days as f32, fsrs::FSRS6_DEFAULT_DECAY))
    }

    /// When the review falls due.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        let days = SCHEDULER
            .next_interval(Some(self.stability), DESIRED_RETENTION, 3)
            .round()
            .clamp(1.0, 36_500.0);
        let at = self.at.saturating_add(days as i64 * SECONDS_PER_DAY);
        Timestamp::from_second(at).unwrap_or(Timestamp::MAX)
    }
}

/// The memory after an answer rated `rating` at `at` (seconds since 1970). Within a day of the
/// last move it stays as it is.
pub(crate) fn next_memory(memory: Option<Memory>, rating: Rating, at: i64) -> Memory {
    let days = memory.map_or(0, |m| at.saturating_sub(m.at).max(0) / SECONDS_PER_DAY);
    if let Some(unchanged) = memory.filter(|_| days < 1) {
        return unchanged;
    }
    let state = memory.map(|m| MemoryState { stability: m.stability, difficulty: m.difficulty });
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    match SCHEDULER.next_states(state, DESIRED_RETENTION, days) {
        Ok(states) => {
            let next = rating.pick(states).memory;
            Memory { stability: next.stability, difficulty: next.difficulty, at }
        }
        // Only a state out of FSRS's range, which `is_valid` lets no learner have.
        Err(_) => Memory { stability: 1.0, difficulty: 5.0, at },
    }
}

/// An item whose review is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due {
    /// Dense index in the catalogue.
    pub index: u32,
    /// Probability of recall now, (0, 1].
    pub retrievability: f64,
    /// Since when it is due.
    pub since: Timestamp,
}

/// The items of the catalogue whose review is due at `now`, the least retrievable first.
#[must_use]
pub fn due(catalog: &Catalog, learner: &Learner, now: Timestamp) -> Vec<Due> {
    let mut due: Vec<Due> = learner
        .items
        .iter()
        .filter_map(|(&key, state)| {
            let memory = state.memory?;
            let since = memory.due_at();
            let index = catalog.index_of_key(key).filter(|_| since <= now)?;
            Some(Due { index, retrievability: memory.retrievability(now), since })
        })
        .collect();
    due.sort_by(|a, b| a.retrievability.total_cmp(&b.retrievability).then(a.index.cmp(&b.index)));
    due
}

/// When the next review falls due; `None` when nothing of the catalogue was answered yet.
#[must_use]
pub fn next_due(catalog: &Catalog, learner: &Learner) -> Option<Timestamp> {
    learner
        .items
        .iter()
        .filter(|(key, _)| catalog.index_of_key(**key).is_some())
        .filter_map(|(_, state)| Some(state.memory?.due_at()))
        .min()
}
