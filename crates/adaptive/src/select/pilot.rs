//! Pilots: items on trial, shown now and then to find out how hard they are.

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::{Choice, Reason, Request, Selection, Terms, pool};
use crate::{Engine, Learner};

/// Name and version.
pub const POLICY: &str = "pilot-1";
/// Share of the questions that are pilots, while there are any that the learner has not met.
const SHARE: f64 = 0.1;

/// With a small probability one of the pilots that the request leaves, each alike.
pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Selection> {
    if engine.pilots().is_empty() || rng.random::<f64>() >= SHARE {
        return None;
    }
    let items = engine.catalog().items();
    let pilots: Vec<u32> = engine
        .pilots()
        .iter()
        .copied()
        .filter(|&index| learner.item(items[index as usize].key).is_none())
        .filter(|&index| pool::is_wanted(engine, request, index))
        .collect();
    if pilots.is_empty() {
        return None;
    }
    let index = pilots[rng.random_range(0..pilots.len())];
    let probability = engine.model().predict(learner, &items[index as usize], now).probability;
    let choice = Choice {
        index,
        reason: Reason::Pilot,
        policy: POLICY,
        probability,
        propensity: SHARE / pilots.len() as f64,
        terms: Terms::default(),
        candidates: pilots.len(),
    };
    Some(engine.selection(learner, &choice, |_| {}))
}
