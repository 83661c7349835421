//! Review: what is due, the least retrievable first.

use jiff::Timestamp;

use super::{Choice, Reason, Request, Selection, Terms, pool};
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
    let mut due = due(engine.catalog(), learner, now);
    due.retain(|d| pool::is_wanted(engine, request, d.index));
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
    let choice = Choice {
        index: due.index,
        reason: Reason::DueReview,
        policy,
        probability: engine.model().predict(learner, item, now).probability,
        propensity,
        terms: Terms::default(),
        candidates,
    };
    engine.selection(learner, &choice, |why| why.retrievability = Some(due.retrievability))
}
