//! A small bank for the tests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use quizmentor_adaptive::{Catalog, Engine, Entry, Model};
use quizmentor_core::{Level, QuestionId, SkillId};

pub(crate) const SKILLS: [&str; 3] = ["biology/cells", "biology/genes", "history/rome"];

/// Ten items for each of three skills, levels remember to apply, difficulties 1 to 5.
pub(crate) fn catalog() -> Catalog {
    let entries = SKILLS.iter().enumerate().flat_map(|(s, skill)| {
        (0..10).map(move |i| Entry {
            id: QuestionId::new(format!("q-{s}-{i}")).unwrap(),
            skills: vec![SkillId::new(*skill).unwrap()],
            level: Level::from_index(i / 4),
            guess: if i % 2 == 0 { 0.25 } else { 0.0 },
            difficulty: Some(1 + (i % 5) as u8),
            expected_ms: 15_000,
            neighbours: Vec::new(),
            pilot: false,
        })
    });
    Catalog::new(entries)
}

pub(crate) fn engine() -> Engine {
    Engine::new(Arc::new(catalog()), Arc::new(Model::new()))
}

/// `minutes` after a fixed moment.
pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(490_000) + SignedDuration::from_mins(minutes)
}
