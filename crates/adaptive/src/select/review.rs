//! Review: what is due, the least retrievable first.

use jiff::Timestamp;

use super::{Reason, Request, Selection, Terms, Why, pool};
use crate::{
    Engine, Learner,
    review::{Due, due},
};

const POLICY: &str = "review-1";

pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
) -> Option<Selection> {
    let due = due_within(engine, learner, request, now);
    due.first().map(|first| selection(engine, learner, first, now, (POLICY, 1.0), due.len()))
}

/// The due items that the request leaves, the least retrievable first.
pub(super) fn due_within(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
) -> Vec<Due> {
    let items = pool::within(engine, request);
    let mut due = due(engine.catalog(), learner, now);
    due.retain(|d| items.binary_search(&d.index).is_ok());
    due
}

/// The selection of a due item by a policy, with the propensity it chose it with.
pub(super) fn selection(
    engine: &Engine,
    learner: &Learner,
    due: &Due,
    now: Timestamp,
    (policy, propensity): (&str, f64),
    candidates: usize,
) -> Selection {
    let item = &engine.catalog().items()[due.index as usize];
    let probability = engine.model().predict(learner, item, now).probability;
    let skill = item.skills.first().and_then(|&key| engine.catalog().skill(key));
    let why = Why {
        sentence: String::new(),
        reason: Reason::DueReview,
        policy: policy.to_owned(),
        model: engine.model().version(),
        skill: skill.map(|s| s.id.clone()),
        level: item.level,
        probability,
        target: None,
        retrievability: Some(due.retrievability),
        terms: Terms::default(),
        candidates: candidates as u32,
    };
    Selection {
        index: due.index,
        question: engine.catalog().id(due.index).clone(),
        probability,
        propensity,
        why: why.worded(false),
    }
}
