//! The candidates that a request leaves.

use std::collections::HashMap;

use jiff::Timestamp;
use rand::{Rng, seq::IteratorRandom};

use super::{COOL_DOWN, Request};
use crate::{
    Engine, Learner,
    catalog::Skill,
    engine::{Curve, weighted_mean},
    gaussian::logit,
    mastery::{is_ready, open_levels},
};

/// Candidates that are looked at one by one; of more, only the most suitable ones are.
const MOST: usize = 512;
/// Skills drawn, where there are more candidates …
const SKILLS: usize = 8;
/// … and items of each, the nearest to the wished probability of success.
const NEAREST: usize = 16;

/// Candidates by how freely they may be asked.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// New, or wrong and cooled down, at a Bloom level that is open, prerequisites mastered.
    pub(super) ready: Vec<u32>,
    /// The same at a level or of a skill that is not open yet.
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

/// Whether an item is within the request's subject and skills and not excluded.
pub(super) fn is_wanted(engine: &Engine, request: &Request<'_>, index: u32) -> bool {
    let catalog = engine.catalog();
    let item = &catalog.items()[index as usize];
    item.skills
        .iter()
        .filter_map(|&key| catalog.skill(key))
        .any(|skill| is_wanted_skill(request, skill))
        && !request.exclude.contains(catalog.id(index))
}

fn is_wanted_skill(request: &Request<'_>, skill: &Skill) -> bool {
    request.subject.is_none_or(|subject| skill.id.subject() == subject)
        && (request.skills.is_empty() || request.skills.contains(&skill.id))
}

/// What may be asked within a request: skills by position, and how many items they have.
pub(super) struct Scope<'a> {
    engine: &'a Engine,
    request: &'a Request<'a>,
    skills: Vec<usize>,
    /// Items, those of several skills counted for each.
    pub(super) size: usize,
}

impl<'a> Scope<'a> {
    pub(super) fn new(engine: &'a Engine, request: &'a Request<'a>) -> Self {
        if request.subject.is_none() && request.skills.is_empty() {
            let skills = (0..engine.catalog().skills().len()).collect();
            return Self { engine, request, skills, size: engine.scored() };
        }
        let all = engine.catalog().skills().iter();
        let skills: Vec<usize> = all
            .enumerate()
            .filter(|(_, skill)| is_wanted_skill(request, skill))
            .map(|(at, _)| at)
            .collect();
        let size = skills.iter().map(|&at| engine.by_difficulty(at).len()).sum();
        Self { engine, request, skills, size }
    }

    /// Whether looking at every item would take too long.
    pub(super) fn is_large(&self) -> bool {
        self.size > MOST
    }

    /// Every item, ascending.
    pub(super) fn all(&self) -> Vec<u32> {
        self.finish(self.skills.iter().flat_map(|&at| self.engine.by_difficulty(at)).copied())
    }

    /// Of some skills drawn at random, the items nearest to the difficulty, in logits, that
    /// `wished` tells for a skill by its position.
    pub(super) fn nearest(&self, wished: impl Fn(usize) -> f64, rng: &mut impl Rng) -> Vec<u32> {
        let drawn = self.skills.iter().copied().sample(rng, SKILLS);
        let share = NEAREST * SKILLS / drawn.len().max(1);
        let near = drawn.iter().flat_map(|&at| window(self.engine, at, wished(at), share));
        self.finish(near.copied())
    }

    /// The typical item of the scope; `None` when it has none.
    pub(super) fn typical(&self) -> Option<Curve> {
        let weighted = self.skills.iter().filter_map(|&at| {
            let weight = self.engine.by_difficulty(at).len() as f32;
            Some((weight, self.engine.typical()[at].all?))
        });
        weighted_mean(weighted)
    }

    fn finish(&self, items: impl Iterator<Item = u32>) -> Vec<u32> {
        let catalog = self.engine.catalog();
        let mut indices: Vec<u32> = items.collect();
        indices.sort_unstable();
        indices.dedup();
        let excluded: Vec<u32> =
            self.request.exclude.iter().filter_map(|id| catalog.index_of(id)).collect();
        indices.retain(|index| !excluded.contains(index));
        indices
    }
}

/// The difficulty, in logits, at which an ability succeeds on typical items of a skill with
/// `probability`.
pub(super) fn difficulty_for(engine: &Engine, skill: usize, ability: f64, probability: f64) -> f64 {
    engine.typical()[skill].all.map_or(ability, |curve| {
        let guess = f64::from(curve.guess);
        ability - logit((probability - guess) / (1.0 - guess)) / f64::from(curve.slope).max(0.1)
    })
}

/// The `size` items of a skill around a difficulty.
fn window(
    engine: &Engine,
    skill: usize,
    difficulty: f64,
    size: usize,
) -> impl Iterator<Item = &u32> {
    let items = engine.by_difficulty(skill);
    let easier = |index: &u32| f64::from(engine.curve(*index).difficulty) < difficulty;
    let middle = items.partition_point(easier);
    let first = middle.saturating_sub(size / 2).min(items.len().saturating_sub(size));
    items[first..].iter().take(size)
}

/// Sorts `items` by how freely they may be asked at `now`.
pub(super) fn sort(engine: &Engine, learner: &Learner, items: Vec<u32>, now: Timestamp) -> Pool {
    let catalog = engine.catalog();
    let last = learner.previous.item().and_then(|key| catalog.index_of_key(key));
    let mut gates: HashMap<usize, (bool, [bool; 6])> = HashMap::new();
    let mut pool = Pool::default();
    for index in items {
        let item = &catalog.items()[index as usize];
        let state = learner.item(item.key);
        let since = state.and_then(|s| s.at).map(|at| now.as_second().saturating_sub(at));
        if Some(index) == last
            || since.is_some_and(|seconds| (0..COOL_DOWN.as_secs()).contains(&seconds))
        {
            continue;
        }
        let is_open = item.skills.iter().filter_map(|&key| catalog.skill_position(key)).all(|at| {
            let (ready, levels) = gates.entry(at).or_insert_with(|| {
                (is_ready(engine, learner, at, now), open_levels(engine, learner, at, now))
            });
            *ready && item.level.is_none_or(|level| levels[level.index()])
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
