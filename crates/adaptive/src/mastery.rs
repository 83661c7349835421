//! The open learner model: what a learner has mastered, with intervals.

use jiff::Timestamp;
use quizmentor_core::{Level, SkillId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Engine, Gaussian, Learner, SkillKey,
    engine::{Curve, ability_for, mean},
};

/// How likely success on a typical item is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// Probability of a right answer, 0 to 1.
    pub probability: f64,
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// Upper end of the 90 % interval.
    pub high: f64,
    /// Answers given so far.
    pub answers: u32,
    /// Items that the bank holds.
    pub items: u32,
}

/// Mastery of one Bloom level of a skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LevelMastery {
    /// The level.
    pub level: Level,
    /// Whether practice asks questions of this level yet.
    pub open: bool,
    /// Success on its typical item.
    pub estimate: Estimate,
}

/// Mastery of a skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SkillMastery {
    /// The skill.
    pub skill: SkillId,
    /// Success on its typical item.
    pub estimate: Estimate,
    /// By Bloom level, those of which the bank holds items.
    pub levels: Vec<LevelMastery>,
}

/// What a learner has mastered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Mastery {
    /// Success on the typical item of the whole bank; absent when the bank is empty.
    pub overall: Option<Estimate>,
    /// By skill, in the order of the catalogue.
    pub skills: Vec<SkillMastery>,
}

/// Standard normal quantile of 95 %, for an interval of 90 %.
const Z_90: f64 = 1.644_854;
/// A level is mastered when success on its typical item is at least this …
const MASTERED: f64 = 0.7;
/// … at the lower quartile of the ability (standard normal quantile of 25 %).
const LIKELY_ENOUGH: f64 = -0.674_49;

/// Mastery by skill and Bloom level at `now`.
#[must_use]
pub fn mastery(engine: &Engine, learner: &Learner, now: Timestamp) -> Mastery {
    let catalog = engine.catalog();
    let skills = (0..catalog.skills().len())
        .filter_map(|at| skill_mastery(engine, learner, at, now))
        .collect();
    let all: Vec<u32> = (0..catalog.len() as u32).collect();
    let overall = mean(all.iter().map(|&i| engine.curve(i)))
        .map(|curve| estimate(curve, learner.ability(now), counts(engine, learner, &all, None)));
    Mastery { overall, skills }
}

/// Mastery of one skill at `now`; `None` when the catalogue has no item of it.
#[must_use]
pub fn of_skill(
    engine: &Engine,
    learner: &Learner,
    skill: &SkillId,
    now: Timestamp,
) -> Option<SkillMastery> {
    let at = engine.catalog().skill_position(SkillKey::from(skill))?;
    skill_mastery(engine, learner, at, now)
}

fn skill_mastery(
    engine: &Engine,
    learner: &Learner,
    at: usize,
    now: Timestamp,
) -> Option<SkillMastery> {
    let skill = &engine.catalog().skills()[at];
    let ability = ability_for(learner, skill.key, now);
    let typical = engine.typical()[at];
    let open = open_levels(engine, learner, at, now);
    let counts = |level| counts(engine, learner, &skill.items, level);
    let levels = Level::ALL.into_iter().filter_map(|level| {
        let curve = typical.levels[level.index()]?;
        let estimate = estimate(curve, ability, counts(Some(level)));
        Some(LevelMastery { level, open: open[level.index()], estimate })
    });
    Some(SkillMastery {
        skill: skill.id.clone(),
        estimate: estimate(typical.all?, ability, counts(None)),
        levels: levels.collect(),
    })
}

/// Answers given to those of `items` that are of `level`, and how many these are.
fn counts(engine: &Engine, learner: &Learner, items: &[u32], level: Option<Level>) -> (u32, u32) {
    items
        .iter()
        .map(|&i| &engine.catalog().items()[i as usize])
        .filter(|item| level.is_none() || item.level == level)
        .fold((0, 0), |(answers, items), item| {
            let state = learner.item(item.key);
            (answers + state.map_or(0, |s| u32::from(s.right) + u32::from(s.wrong)), items + 1)
        })
}

fn estimate(curve: Curve, ability: Gaussian, (answers, items): (u32, u32)) -> Estimate {
    let (mean, sd) = (f64::from(ability.mean), f64::from(ability.variance).sqrt());
    Estimate {
        probability: curve.probability(mean),
        low: curve.probability(mean - Z_90 * sd),
        high: curve.probability(mean + Z_90 * sd),
        answers,
        items,
    }
}

/// The Bloom gate of a skill, by its position in the catalogue: a level is open when each lower
/// level of which there are items is mastered likely enough.
pub(crate) fn open_levels(
    engine: &Engine,
    learner: &Learner,
    skill: usize,
    now: Timestamp,
) -> [bool; 6] {
    let ability = ability_for(learner, engine.catalog().skills()[skill].key, now);
    let cautious = f64::from(ability.mean) + LIKELY_ENOUGH * f64::from(ability.variance).sqrt();
    let mut open = true;
    engine.typical()[skill].levels.map(|curve| {
        let this = open;
        open &= curve.is_none_or(|curve| curve.probability(cautious) >= MASTERED);
        this
    })
}
