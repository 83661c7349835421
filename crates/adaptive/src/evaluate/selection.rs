//! How long a selection takes in a bank of a given size.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use quizmentor_core::{Level, Mode, QuestionId, SkillId};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{Catalog, Engine, Entry, Error, Learner, Model, Outcome, Request};

/// Mean times of choosing the next question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectionReport {
    /// Items of the bank, all within the request.
    pub items: usize,
    /// Skills that they exercise.
    pub skills: usize,
    /// Mean nanoseconds of a selection in practice.
    pub practice_ns: f64,
    /// Mean nanoseconds of a selection in a test.
    pub test_ns: f64,
}

/// Most items of a bank to measure with.
const MOST: usize = 1_000_000;
/// Items a skill has.
const PER_SKILL: usize = 100;
/// Selections measured in each mode.
const SELECTIONS: u32 = 2_000;
/// Answers that the learner gave before.
const HISTORY: usize = 100;

/// Measures selections for one learner in a synthetic bank of `items` items. `elapsed` gives the
/// time since some fixed moment.
///
/// # Errors
/// When there are no items, or more than a million.
pub fn selection(items: usize, elapsed: impl Fn() -> Duration) -> Result<SelectionReport, Error> {
    if !(1..=MOST).contains(&items) {
        return Err(Error::Parameter(format!("{items} items; 1 to {MOST} are possible")));
    }
    let catalog = Catalog::new((0..items).filter_map(entry));
    let engine = Engine::new(Arc::new(catalog), Arc::new(Model::new()));
    let mut rng = StdRng::seed_from_u64(1);
    let (start, mut learner) = (Timestamp::UNIX_EPOCH, Learner::new());
    for n in 0..HISTORY {
        let id = engine.catalog().id(rng.random_range(0..items as u32)).clone();
        let at = start + SignedDuration::from_mins(n as i64);
        engine.observe(&mut learner, &id, &Outcome::new(rng.random_bool(0.7), at));
    }
    let now = start + SignedDuration::from_hours(3);
    let mut measure = |mode: Mode| {
        let from = elapsed();
        for _ in 0..SELECTIONS {
            let chosen = engine.select(mode, &learner, &Request::default(), now, &mut rng);
            std::hint::black_box(chosen);
        }
        elapsed().saturating_sub(from).as_nanos() as f64 / f64::from(SELECTIONS)
    };
    let (practice_ns, test_ns) = (measure(Mode::Practice), measure(Mode::Test));
    Ok(SelectionReport { items, skills: engine.catalog().skills().len(), practice_ns, test_ns })
}

fn entry(n: usize) -> Option<Entry> {
    Some(Entry {
        id: QuestionId::new(format!("q-{n}")).ok()?,
        skills: vec![SkillId::new(format!("subject/skill-{}", n / PER_SKILL)).ok()?],
        level: Level::from_index(n % 3),
        guess: 0.25,
        difficulty: Some((n % 5) as u8 + 1),
        expected_ms: 15_000,
        neighbours: Vec::new(),
        pilot: false,
    })
}
