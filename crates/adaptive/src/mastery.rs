//! The open learner model: what a learner has mastered, with intervals.

use jiff::{SignedDuration, Timestamp};
use quizmentor_core::{Level, SkillId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Engine, Gaussian, Learner, SkillKey,
    engine::{Curve, ability_for, mean},
    gaussian,
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
    /// Probability of guessing right without knowing, contained in the other three.
    pub guess: f64,
    /// Answers given so far.
    pub answers: u32,
    /// Items that the bank holds.
    pub items: u32,
}

impl Estimate {
    /// Probability of knowing the answer, guesses aside, 0 to 1.
    #[must_use]
    pub fn knowledge(&self) -> f64 {
        (self.probability - self.guess) / (1.0 - self.guess)
    }
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
    /// What would change the estimate.
    pub change: Change,
    /// Prerequisites that are not mastered yet; practice asks for them first.
    pub waits_for: Vec<SkillId>,
}

/// What would change the estimate of a skill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Probability of success after a right answer to the typical item, 0 to 1.
    pub if_right: f64,
    /// The same after a wrong one.
    pub if_wrong: f64,
    /// Right answers in a row to mastery: guesses aside, the answer to the typical item is known with
    /// 70 % or more even at the lower quartile of the ability. 0 when it is mastered; absent beyond 50.
    pub right_answers_to_mastery: Option<u32>,
    /// The 90 % interval after 30 days without practice.
    pub in_30_days: [f64; 2],
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
/// A level is mastered when, guesses aside, the answer to its typical item is known with at least
/// this probability …
pub const MASTERED: f64 = 0.7;
/// … at the lower quartile of the ability (standard normal quantile of 25 %).
const LIKELY_ENOUGH: f64 = -0.674_49;

/// Mastery by skill and Bloom level at `now`.
#[must_use]
pub fn mastery(engine: &Engine, learner: &Learner, now: Timestamp) -> Mastery {
    let catalog = engine.catalog();
    let skills = (0..catalog.skills().len())
        .filter_map(|at| skill_mastery(engine, learner, at, now))
        .collect();
    let all: Vec<u32> =
        (0..).zip(catalog.items()).filter(|(_, item)| !item.pilot).map(|(at, _)| at).collect();
    let overall = mean(all.iter().map(|&i| engine.curve(i)))
        .map(|curve| estimate(curve, learner.ability(now), counts(engine, learner, &all, None)));
    Mastery { overall, skills }
}

/// Whether a skill is mastered at `now`: guesses aside, the answer to its typical item is known with
/// 70 % or more even at the lower quartile of the ability. A skill without items counts as mastered.
#[must_use]
pub fn has_mastered(engine: &Engine, learner: &Learner, skill: &SkillId, now: Timestamp) -> bool {
    engine
        .catalog()
        .skill_position(SkillKey::from(skill))
        .is_none_or(|at| is_mastered(engine, learner, at, now))
}

/// Probability of success on the typical item of a skill at `now`; `None` when the catalogue has no
/// item of it.
#[must_use]
pub fn success(engine: &Engine, learner: &Learner, skill: &SkillId, now: Timestamp) -> Option<f64> {
    let key = SkillKey::from(skill);
    let curve = engine.typical()[engine.catalog().skill_position(key)?].all?;
    Some(curve.probability(f64::from(ability_for(learner, key, now).mean)))
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
    let curve = typical.all?;
    let levels = Level::ALL.into_iter().filter_map(|level| {
        let curve = typical.levels[level.index()]?;
        let estimate = estimate(curve, ability, counts(Some(level)));
        Some(LevelMastery { level, open: open[level.index()], estimate })
    });
    Some(SkillMastery {
        skill: skill.id.clone(),
        estimate: estimate(curve, ability, counts(None)),
        levels: levels.collect(),
        change: change(learner, skill.key, curve, now),
        waits_for: engine
            .prerequisites(at)
            .iter()
            .filter(|&&before| !is_mastered(engine, learner, before, now))
            .map(|&before| engine.catalog().skills()[before].id.clone())
            .collect(),
    })
}

/// Answers given to those of `items` that are of `level`, and how many these are.
fn counts(engine: &Engine, learner: &Learner, items: &[u32], level: Option<Level>) -> (u32, u32) {
    items
        .iter()
        .map(|&i| &engine.catalog().items()[i as usize])
        .filter(|item| !item.pilot && (level.is_none() || item.level == level))
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
        guess: f64::from(curve.guess),
        answers,
        items,
    }
}

/// More right answers in a row than this are not told.
const MOST_ANSWERS: u32 = 50;

fn change(learner: &Learner, skill: SkillKey, curve: Curve, now: Timestamp) -> Change {
    let ability = ability_for(learner, skill, now);
    let success = |ability: Gaussian| curve.probability(f64::from(ability.mean));
    let mut later = ability;
    let mut answers = 0;
    while !is_sure(curve, later) && answers <= MOST_ANSWERS {
        later = after(curve, later, 1.0);
        answers += 1;
    }
    let month = now.checked_add(SignedDuration::from_hours(24 * 30)).unwrap_or(now);
    let Estimate { low, high, .. } = estimate(curve, ability_for(learner, skill, month), (0, 0));
    Change {
        if_right: success(after(curve, ability, 1.0)),
        if_wrong: success(after(curve, ability, 0.0)),
        right_answers_to_mastery: (answers <= MOST_ANSWERS).then_some(answers),
        in_30_days: [low, high],
    }
}

/// The ability after an answer worth `credit` to an item with that curve.
fn after(curve: Curve, ability: Gaussian, credit: f64) -> Gaussian {
    let slope = f64::from(curve.slope);
    let mean = slope * (f64::from(ability.mean) - f64::from(curve.difficulty));
    let variance = slope * slope * f64::from(ability.variance);
    ability.absorb(slope, gaussian::observe(mean, variance, curve.guess.into(), credit))
}

/// Whether knowing an item is likely enough even at the lower quartile of the ability.
fn is_sure(curve: Curve, ability: Gaussian) -> bool {
    let cautious = f64::from(ability.mean) + LIKELY_ENOUGH * f64::from(ability.variance).sqrt();
    curve.knowledge(cautious) >= MASTERED
}

/// Whether a skill is mastered; one without items counts as mastered.
fn is_mastered(engine: &Engine, learner: &Learner, skill: usize, now: Timestamp) -> bool {
    let ability = ability_for(learner, engine.catalog().skills()[skill].key, now);
    engine.typical()[skill].all.is_none_or(|curve| is_sure(curve, ability))
}

/// Whether every prerequisite of a skill is mastered.
pub(crate) fn is_ready(engine: &Engine, learner: &Learner, skill: usize, now: Timestamp) -> bool {
    engine.prerequisites(skill).iter().all(|&before| is_mastered(engine, learner, before, now))
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
    let mut open = true;
    engine.typical()[skill].levels.map(|curve| {
        let this = open;
        open &= curve.is_none_or(|curve| is_sure(curve, ability));
        this
    })
}
