//! Practice: a success probability that teaches, by Thompson draws of the abilities, with due
//! reviews in between.

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::{Reason, Request, Selection, Terms, Why, pool, review};
use crate::{
    Engine, Gaussian, Learner, SkillKey,
    engine::ability_for,
    gaussian::{logit, sigmoid},
    review::Due,
};

/// The range of success probability that practice aims at.
pub const DEFAULT_TARGET: [f64; 2] = [0.7, 0.85];

const POLICY: &str = "practice-1";
/// Half the width of the range around a target that a session asks for.
const HALF_WIDTH: f64 = 0.075;
/// With this probability a due review goes first.
const REVIEW_SHARE: f64 = 0.3;
/// The items nearest to the target compete.
const SHORT_LIST: usize = 48;
/// Draws of the abilities that the propensity averages over.
const DRAWS: usize = 8;
/// Softmax temperature of the scores.
const TEMPERATURE: f64 = 0.15;

pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Selection> {
    let due = review::due_within(engine, learner, request, now);
    let mut items = pool::others(engine, learner, request);
    items.retain(|index| due.iter().all(|d| d.index != *index));
    let candidates = items.len() + due.len();
    let fresh = pool::sort(engine, learner, items, now).best();
    let share = match (due.is_empty(), fresh.is_empty()) {
        (true, true) => return None,
        (true, false) => 0.0,
        (false, true) => 1.0,
        (false, false) => REVIEW_SHARE,
    };
    if rng.random::<f64>() < share {
        let first: &Due = &due[0];
        return Some(review::selection(engine, learner, first, now, (POLICY, share), candidates));
    }
    let target = range(request.target);
    let list = short_list(engine, learner, fresh, target, now, rng);
    let chances = chances(&list, learner, target, now, rng);
    let (at, chance) = draw(&chances, rng);
    let chosen = &list[at];
    let propensity = (1.0 - share) * chance;
    Some(selection(engine, learner, chosen, target, propensity, candidates))
}

fn range(target: Option<f64>) -> [f64; 2] {
    target.filter(|t| t.is_finite()).map_or(DEFAULT_TARGET, |t| {
        let t = t.clamp(0.05, 0.95);
        [(t - HALF_WIDTH).max(0.01), (t + HALF_WIDTH).min(0.99)]
    })
}

/// A competitor with what does not depend on the draw.
struct Competitor {
    index: u32,
    probability: f64,
    skill: Option<SkillKey>,
    guess: f64,
    slope: f64,
    terms: Terms,
}

/// The [`SHORT_LIST`] items whose expected success is nearest to the target, ties broken at random.
fn short_list(
    engine: &Engine,
    learner: &Learner,
    items: Vec<u32>,
    target: [f64; 2],
    now: Timestamp,
    rng: &mut impl Rng,
) -> Vec<Competitor> {
    let catalog = engine.catalog();
    let abilities: Vec<f64> = catalog
        .skills()
        .iter()
        .map(|skill| f64::from(ability_for(learner, skill.key, now).mean))
        .collect();
    let middle = (target[0] + target[1]) / 2.0;
    let mut ranked: Vec<(f64, u32)> = items
        .into_iter()
        .map(|index| {
            let item = &catalog.items()[index as usize];
            let skill = item.skills.first().and_then(|&key| catalog.skill_position(key));
            let ability =
                skill.map_or_else(|| f64::from(learner.ability(now).mean), |at| abilities[at]);
            let off = (engine.curve(index).probability(ability) - middle).abs();
            (off + 0.05 * rng.random::<f64>(), index)
        })
        .collect();
    if ranked.len() > SHORT_LIST {
        ranked.select_nth_unstable_by(SHORT_LIST, |a, b| a.0.total_cmp(&b.0));
        ranked.truncate(SHORT_LIST);
    }
    ranked.into_iter().map(|(_, index)| competitor(engine, learner, index, target, now)).collect()
}

fn competitor(
    engine: &Engine,
    learner: &Learner,
    index: u32,
    target: [f64; 2],
    now: Timestamp,
) -> Competitor {
    let item = &engine.catalog().items()[index as usize];
    let prediction = engine.model().predict(learner, item, now);
    let skill = item.skills.first().copied();
    let repeated = skill.is_some() && learner.previous.skill == skill;
    let terms = Terms {
        fit: fit(prediction.probability, target),
        information: 0.1 * prediction.variance.min(2.0),
        novelty: if learner.item(item.key).is_none() { 0.1 } else { 0.0 },
        exposure: -0.05 * f64::from(engine.exposure(index).ln().max(0.0)),
        variety: if repeated { -0.05 } else { 0.0 },
    };
    Competitor {
        index,
        probability: prediction.probability,
        skill,
        guess: f64::from(item.guess),
        slope: engine.model().discrimination(item),
        terms,
    }
}

/// 0 at the middle of the target, −0.05 at its ends, steeper outside.
fn fit(probability: f64, [low, high]: [f64; 2]) -> f64 {
    let (middle, half) = ((low + high) / 2.0, ((high - low) / 2.0).max(0.01));
    let off = (probability - middle).abs();
    -0.05 * (off.min(half) / half).powi(2) - 4.0 * (off - half).max(0.0)
}

/// The probability of each competitor to be chosen: the softmax of the scores, averaged over draws
/// of the abilities (Thompson, 1933).
fn chances(
    list: &[Competitor],
    learner: &Learner,
    target: [f64; 2],
    now: Timestamp,
    rng: &mut impl Rng,
) -> Vec<f64> {
    let at = Some(now.as_second());
    let mut skills: Vec<SkillKey> = list.iter().filter_map(|c| c.skill).collect();
    skills.sort_unstable();
    skills.dedup();
    let mut chances = vec![0.0; list.len()];
    for _ in 0..DRAWS {
        let whole = deviation(learner.ability_at(at), rng);
        let own: Vec<f64> =
            skills.iter().map(|&key| deviation(learner.skill_ability_at(key, at), rng)).collect();
        let score = |c: &Competitor| {
            let slot = c.skill.and_then(|key| skills.binary_search(&key).ok());
            let p = shifted(c, c.slope * (whole + slot.map_or(0.0, |slot| own[slot])));
            c.terms.total() - c.terms.fit + fit(p, target)
        };
        let scores: Vec<f64> = list.iter().map(score).collect();
        let best = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| ((s - best) / TEMPERATURE).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for (chance, weight) in chances.iter_mut().zip(weights) {
            *chance += weight / sum / DRAWS as f64;
        }
    }
    chances
}

/// The prediction if the ability were `shift` logits away from its mean.
fn shifted(competitor: &Competitor, shift: f64) -> f64 {
    let guess = competitor.guess;
    let knows = logit((competitor.probability - guess) / (1.0 - guess));
    guess + (1.0 - guess) * sigmoid(knows + shift)
}

/// A draw from a belief, less its mean (Box & Muller, 1958).
fn deviation(belief: Gaussian, rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    normal * f64::from(belief.variance).sqrt()
}

/// A position drawn in proportion to `weights`, and its probability. They are not empty, positive
/// and finite.
pub(super) fn draw(weights: &[f64], rng: &mut impl Rng) -> (usize, f64) {
    let sum: f64 = weights.iter().sum();
    let mut left = rng.random::<f64>() * sum;
    let at = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    let at = at.unwrap_or(weights.len() - 1);
    (at, (weights[at] / sum).clamp(f64::MIN_POSITIVE, 1.0))
}

fn selection(
    engine: &Engine,
    learner: &Learner,
    chosen: &Competitor,
    target: [f64; 2],
    propensity: f64,
    candidates: usize,
) -> Selection {
    let catalog = engine.catalog();
    let item = &catalog.items()[chosen.index as usize];
    let skill = chosen.skill.and_then(|key| catalog.skill(key));
    let why = Why {
        sentence: String::new(),
        reason: Reason::RightDifficulty,
        policy: POLICY.to_owned(),
        model: engine.model().version(),
        skill: skill.map(|s| s.id.clone()),
        level: item.level,
        probability: chosen.probability,
        target: Some(target),
        retrievability: None,
        terms: chosen.terms,
        candidates: candidates as u32,
    };
    let skill_is_new = chosen.skill.is_some_and(|key| learner.skill(key).is_none());
    Selection {
        index: chosen.index,
        question: catalog.id(chosen.index).clone(),
        probability: chosen.probability,
        propensity,
        why: why.worded(skill_is_new),
    }
}
