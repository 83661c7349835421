//! The candidates that a request leaves.

use jiff::Timestamp;

use super::{COOL_DOWN, Request};
use crate::{Engine, Learner, mastery::open_levels};

/// Candidates by how freely they may be asked.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// New, or wrong and cooled down, at a Bloom level that is open.
    pub(super) ready: Vec<u32>,
    /// The same at a level not open yet.
    pub(super) gated: Vec<u32>,
    /// Answered right, review not due.
    pub(super) resting: Vec<u32>,
}

impl Pool {
    /// The first group that is not empty.
    pub(super) fn best(self) -> Vec<u32> {
        [self.ready, self.gated, self.resting]
            .into_iter()
            .find(|group| !group.is_empty())
            .unwrap_or_default()
    }
}

/// The items that the request leaves, without the one answered last.
pub(super) fn others(engine: &Engine, learner: &Learner, request: &Request<'_>) -> Vec<u32> {
    let last = learner.previous.item().and_then(|key| engine.catalog().index_of_key(key));
    let mut indices = within(engine, request);
    indices.retain(|&index| Some(index) != last);
    indices
}

/// The items within the request's subject and skills that are not excluded, ascending.
pub(super) fn within(engine: &Engine, request: &Request<'_>) -> Vec<u32> {
    let catalog = engine.catalog();
    let wanted = |skill: &crate::catalog::Skill| {
        request.subject.is_none_or(|subject| skill.id.subject() == subject)
            && (request.skills.is_empty() || request.skills.contains(&skill.id))
    };
    let mut indices: Vec<u32> = catalog
        .skills()
        .iter()
        .filter(|skill| wanted(skill))
        .flat_map(|skill| skill.items.iter().copied())
        .collect();
    indices.sort_unstable();
    indices.dedup();
    let excluded: Vec<u32> = request.exclude.iter().filter_map(|id| catalog.index_of(id)).collect();
    indices.retain(|index| !excluded.contains(index));
    indices
}

/// Sorts `items` by how freely they may be asked at `now`.
pub(super) fn sort(engine: &Engine, learner: &Learner, items: Vec<u32>, now: Timestamp) -> Pool {
    let catalog = engine.catalog();
    let open: Vec<[bool; 6]> =
        (0..catalog.skills().len()).map(|at| open_levels(engine, learner, at, now)).collect();
    let mut pool = Pool::default();
    for index in items {
        let item = &catalog.items()[index as usize];
        let state = learner.item(item.key);
        let since = state.and_then(|s| s.at).map(|at| now.as_second().saturating_sub(at));
        if since.is_some_and(|seconds| seconds < COOL_DOWN.as_secs()) {
            continue;
        }
        let is_open = item.level.is_none_or(|level| {
            item.skills
                .iter()
                .filter_map(|&key| catalog.skill_position(key))
                .all(|at| open[at][level.index()])
        });
        if state.is_some_and(|s| s.recent.last() == 2) {
            pool.resting.push(index);
        } else if is_open {
            pool.ready.push(index);
        } else {
            pool.gated.push(index);
        }
    }
    pool
}
