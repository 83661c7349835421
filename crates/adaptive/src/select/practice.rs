//! Practice: a success probability that teaches, by Thompson draws of the abilities, with due
//! reviews in between.

use std::collections::HashMap;

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::{
    Chance, Choice, Reason, Request, Selection, Terms,
    pool::{self, Scope},
    review,
};
use crate::{
    Engine, Gaussian, Learner, SkillKey,
    engine::ability_for,
    gaussian::{logit, sigmoid},
    review::Due,
};

/// The range of success probability that practice aims at.
pub const DEFAULT_TARGET: [f64; 2] = [0.7, 0.85];

/// A way to choose among the items of the short list. Its name carries its version: whatever
/// changes what it does gets a new name.
#[derive(Debug, PartialEq)]
pub struct Policy {
    /// Name and version, as logged.
    pub name: &'static str,
    /// Softmax temperature of the scores, above 0.
    temperature: f64,
    /// Whether abilities are drawn (Thompson, 1933) or taken at their means.
    draws: bool,
    /// Weight of what the answer would tell about the ability.
    information: f64,
}

/// The policies of practice, the one that serves by default first.
pub static POLICIES: [Policy; 3] = [
    Policy { name: "practice-1", temperature: 0.15, draws: true, information: 0.1 },
    // Keeps closer to the target.
    Policy { name: "practice-2", temperature: 0.05, draws: false, information: 0.1 },
    // Learns more about the learner.
    Policy { name: "practice-3", temperature: 0.15, draws: true, information: 0.4 },
];

impl Policy {
    /// The policy of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.name == name)
    }
}

impl Default for &'static Policy {
    fn default() -> Self {
        &POLICIES[0]
    }
}

/// Half the width of the range around a target that a session asks for.
const HALF_WIDTH: f64 = 0.075;
/// With this probability a due review goes first.
const REVIEW_SHARE: f64 = 0.3;
/// The items nearest to the target compete.
const SHORT_LIST: usize = 24;
/// Draws of the abilities that the propensity averages over.
const DRAWS: usize = 8;

pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Selection> {
    let due = review::due_within(engine, learner, request, now);
    let scope = Scope::new(engine, request);
    let target = target_range(request.target, request.shift);
    let fresh = fresh(&scope, engine, learner, &due, target, now, rng);
    let share = match (due.is_empty(), fresh.is_empty()) {
        (true, true) => return None,
        (true, false) => 0.0,
        (false, true) => 1.0,
        (false, false) => REVIEW_SHARE,
    };
    let policy = request.policy;
    if rng.random::<f64>() < share {
        let first: &Due = &due[0];
        let mut review =
            review::selection(engine, learner, first, now, (policy.name, share), scope.size);
        let (propensity, predicted) = (share, review.probability);
        let same = |p: &Policy| Chance { policy: p.name.to_owned(), propensity, predicted };
        review.chances = POLICIES.iter().map(same).collect();
        return Some(review);
    }
    let list = short_list(engine, learner, fresh, target, now, rng);
    let shifts = draw_shifts(&list, learner, now, rng);
    let weights: Vec<Vec<f64>> =
        POLICIES.iter().map(|p| chances(p, &list, &shifts, target)).collect();
    let serving = POLICIES.iter().position(|p| p == policy).unwrap_or(0);
    let (at, _) = draw(&weights[serving], rng);
    let told = |(p, weights): (&Policy, &Vec<f64>)| {
        let mean: f64 = list.iter().zip(weights).map(|(c, w)| c.probability * w).sum();
        Chance {
            policy: p.name.to_owned(),
            propensity: (1.0 - share) * weights[at],
            predicted: mean,
        }
    };
    let chances: Vec<Chance> = POLICIES.iter().zip(&weights).map(told).collect();
    let propensity = chances[serving].propensity.clamp(f64::MIN_POSITIVE, 1.0);
    let chosen = Choice {
        index: list[at].index,
        reason: Reason::RightDifficulty,
        policy: policy.name,
        probability: list[at].probability,
        propensity,
        terms: list[at].terms(policy),
        candidates: scope.size,
    };
    let selection = engine.selection(learner, &chosen, |why| why.target = Some(target));
    Some(Selection { chances, ..selection })
}

/// The range of success probability that a session aims at: around the target that it asks for, or
/// [`DEFAULT_TARGET`], moved by `shift`.
#[must_use]
pub fn target_range(target: Option<f64>, shift: f64) -> [f64; 2] {
    let [low, high] = target.filter(|t| t.is_finite()).map_or(DEFAULT_TARGET, |t| {
        let t = t.clamp(0.05, 0.95);
        [t - HALF_WIDTH, t + HALF_WIDTH]
    });
    [(low + shift).clamp(0.01, 0.94), (high + shift).clamp(0.06, 0.99)]
}

/// What may be asked and is no review: of a large scope the part that suits, unless that holds
/// nothing to ask.
fn fresh(
    scope: &Scope<'_>,
    engine: &Engine,
    learner: &Learner,
    due: &[Due],
    target: [f64; 2],
    now: Timestamp,
    rng: &mut impl Rng,
) -> Vec<u32> {
    let sorted = |mut items: Vec<u32>| {
        items.retain(|index| due.iter().all(|d| d.index != *index));
        pool::sort(engine, learner, items, now)
    };
    if scope.is_large() {
        let middle = (target[0] + target[1]) / 2.0;
        let wished = |skill: usize| {
            let ability = ability_for(learner, engine.catalog().skills()[skill].key, now);
            pool::difficulty_for(engine, skill, ability.mean.into(), middle)
        };
        let near = scope.nearest(wished, rng);
        let ready = sorted(near).ready;
        if !ready.is_empty() {
            return ready;
        }
    }
    sorted(scope.all()).best()
}

/// A competitor with what does not depend on the draw.
struct Competitor {
    index: u32,
    probability: f64,
    skill: Option<SkillKey>,
    guess: f64,
    /// The prediction in logits, guessing aside.
    knows: f64,
    slope: f64,
    /// Variance of the prediction, in squared logits.
    variance: f64,
    terms: Terms,
}

impl Competitor {
    /// The terms as a policy weighs them.
    fn terms(&self, policy: &Policy) -> Terms {
        Terms { information: policy.information * self.variance.min(2.0), ..self.terms }
    }
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
    let mut abilities: HashMap<SkillKey, f64> = HashMap::new();
    let mut ability = |key: SkillKey| {
        *abilities.entry(key).or_insert_with(|| f64::from(ability_for(learner, key, now).mean))
    };
    let middle = (target[0] + target[1]) / 2.0;
    let mut ranked: Vec<(f64, u32)> = items
        .into_iter()
        .map(|index| {
            let item = &catalog.items()[index as usize];
            let ability = item
                .skills
                .first()
                .map_or_else(|| f64::from(learner.ability(now).mean), |&key| ability(key));
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
    let guess = f64::from(item.guess);
    let skill = item.skills.first().copied();
    let repeated = skill.is_some() && learner.previous.skill == skill;
    let terms = Terms {
        fit: fit(prediction.probability, target),
        information: 0.0,
        novelty: if learner.item(item.key).is_none() { 0.1 } else { 0.0 },
        exposure: -0.05 * f64::from(engine.exposure(index).ln().max(0.0)),
        variety: if repeated { -0.05 } else { 0.0 },
    };
    Competitor {
        index,
        probability: prediction.probability,
        skill,
        guess,
        knows: logit((prediction.probability - guess) / (1.0 - guess)),
        slope: engine.model().discrimination(item),
        variance: prediction.variance,
        terms,
    }
}

/// 0 at the middle of the target, −0.05 at its ends, steeper outside.
fn fit(probability: f64, [low, high]: [f64; 2]) -> f64 {
    let (middle, half) = ((low + high) / 2.0, ((high - low) / 2.0).max(0.01));
    let off = (probability - middle).abs();
    -0.05 * (off.min(half) / half).powi(2) - 4.0 * (off - half).max(0.0)
}

/// Draws of how far each competitor's success lies from its mean, in logits: [`DRAWS`] rows.
fn draw_shifts(
    list: &[Competitor],
    learner: &Learner,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Vec<Vec<f64>> {
    let at = Some(now.as_second());
    let mut skills: Vec<SkillKey> = list.iter().filter_map(|c| c.skill).collect();
    skills.sort_unstable();
    skills.dedup();
    let mut row = || {
        let whole = deviation(learner.ability_at(at), rng);
        let own: Vec<f64> =
            skills.iter().map(|&key| deviation(learner.skill_ability_at(key, at), rng)).collect();
        let shift = |c: &Competitor| {
            let slot = c.skill.and_then(|key| skills.binary_search(&key).ok());
            c.slope * (whole + slot.map_or(0.0, |slot| own[slot]))
        };
        list.iter().map(shift).collect()
    };
    (0..DRAWS).map(|_| row()).collect()
}

/// The probability of each competitor to be chosen by a policy: the softmax of the scores, averaged
/// over the draws.
fn chances(
    policy: &Policy,
    list: &[Competitor],
    shifts: &[Vec<f64>],
    target: [f64; 2],
) -> Vec<f64> {
    let means = [vec![0.0; list.len()]];
    let shifts = if policy.draws { shifts } else { &means };
    let mut chances = vec![0.0; list.len()];
    for row in shifts {
        let score = |(c, &shift): (&Competitor, &f64)| {
            let terms = c.terms(policy);
            terms.total() - terms.fit + fit(shifted(c, shift), target)
        };
        let scores: Vec<f64> = list.iter().zip(row).map(score).collect();
        let best = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> =
            scores.iter().map(|s| ((s - best) / policy.temperature).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for (chance, weight) in chances.iter_mut().zip(weights) {
            *chance += weight / sum / shifts.len() as f64;
        }
    }
    chances
}

/// The prediction if the ability were `shift` logits away from its mean.
fn shifted(competitor: &Competitor, shift: f64) -> f64 {
    let guess = competitor.guess;
    guess + (1.0 - guess) * sigmoid(competitor.knows + shift)
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
