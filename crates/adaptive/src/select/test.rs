//! Test: ability by expected a posteriori from this test's answers alone; the item that tells most
//! about it, within content quotas and an exposure cap; an end at a standard error or a decision.

use jiff::Timestamp;
use quizmentor_core::{Quota, TestPlan};
use rand::Rng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Choice, Exposure, Reason, Request, Selection, Sitting, Terms, pilot, pool::Scope,
    practice::draw,
};
use crate::{
    Engine, Item, Learner, SkillKey,
    cat::{Ability, Parameters},
    engine::Curve,
};

/// Name and version.
pub const POLICY: &str = "test-2";
/// The most informative items compete.
const SHORT_LIST: usize = 16;
/// Weight of the logarithm of information against that of exposure.
const TEMPERATURE: f64 = 0.2;
/// Nothing is decided by fewer scored answers, whatever is believed of learners in general.
const DECISIVE: usize = 5;
/// Standard normal quantile of 95 %: the certainty of a decision, and the interval of 90 %.
const CERTAIN: f64 = 1.644_854;

/// Why a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All its questions were asked.
    Length,
    /// The ability is known to the standard error wished.
    Precision,
    /// The ability is above or below the passing mark with 95 % probability.
    Decision,
}

/// On which side of the passing mark a learner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Above it, with 95 % probability.
    Pass,
    /// Below it, with 95 % probability.
    Fail,
    /// Not known with 95 % probability.
    Open,
}

/// What a test has measured so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Measurement {
    /// Answers scored.
    pub answers: u32,
    /// Ability in logits; 0 is the middle of the learners.
    pub ability: f64,
    /// Its standard error in logits.
    pub standard_error: f64,
    /// Probability of success on a typical question of the scope, 0 to 1.
    pub probability: f64,
    /// Lower end of its 90 % interval.
    pub low: f64,
    /// Upper end of its 90 % interval.
    pub high: f64,
    /// On which side of the passing mark; absent without one.
    pub verdict: Option<Verdict>,
    /// Why the test is over; absent while it goes on.
    pub end: Option<End>,
}

/// What a test has measured; `None` when its scope holds no items.
#[must_use]
pub fn measure(engine: &Engine, request: &Request<'_>) -> Option<Measurement> {
    let sitting = request.test?;
    let (ability, answers) = ability(engine, sitting);
    let curve = Scope::new(engine, request).typical()?;
    let estimate = ability.estimate();
    let at = |sd: f64| curve.probability(estimate.mean + sd * estimate.error);
    let (probability, low, high) = (at(0.0), at(-CERTAIN), at(CERTAIN));
    let too_few = (answers as usize) < DECISIVE.min(sitting.plan.length);
    let verdict = sitting.plan.cut.map(|cut| match () {
        () if too_few => Verdict::Open,
        () if low > cut => Verdict::Pass,
        () if high < cut => Verdict::Fail,
        () => Verdict::Open,
    });
    let precise = sitting.plan.standard_error.is_some_and(|wished| estimate.error < wished);
    let end = match () {
        () if matches!(verdict, Some(Verdict::Pass | Verdict::Fail)) => Some(End::Decision),
        () if precise => Some(End::Precision),
        () if answers as usize >= sitting.plan.length => Some(End::Length),
        () => None,
    };
    Some(Measurement {
        answers,
        ability: estimate.mean,
        standard_error: estimate.error,
        probability,
        low,
        high,
        verdict,
        end,
    })
}

/// The posterior of the ability after the scored answers, and their number.
fn ability(engine: &Engine, sitting: Sitting<'_>) -> (Ability, u32) {
    let scored = sitting.asked.iter().zip(sitting.outcomes);
    scored.fold((Ability::new(), 0), |(ability, answers), (id, outcome)| {
        match (engine.catalog().index_of(id), outcome) {
            (Some(index), Some(right)) => {
                (ability.after(&parameters(engine.curve(index)), *right), answers + 1)
            }
            (None, Some(_)) => (ability, answers + 1),
            (_, None) => (ability, answers),
        }
    })
}

fn parameters(curve: Curve) -> Parameters {
    Parameters {
        discrimination: curve.slope.into(),
        difficulty: curve.difficulty.into(),
        guess: curve.guess.into(),
    }
}

pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Selection> {
    let (plan, exposure) = (TestPlan::default(), Exposure::default());
    let sitting = request.test.unwrap_or(Sitting {
        plan: &plan,
        asked: request.exclude,
        outcomes: &[],
        exposure: &exposure,
    });
    let measured = measure(engine, &Request { test: Some(sitting), ..*request });
    if measured.is_some_and(|measured| measured.end.is_some()) {
        return None;
    }
    if let Some(pilot) = pilot::choose(engine, learner, request, now, rng) {
        return Some(pilot);
    }
    // A scope that measures nothing holds nothing to ask.
    let Measurement { ability, standard_error, .. } = measured?;
    let scope = Scope::new(engine, request);
    let mut items = if scope.is_large() && sitting.plan.blueprint.is_empty() {
        scope.nearest(|_| ability, rng)
    } else {
        scope.all()
    };
    let last = learner.previous.item().and_then(|key| engine.catalog().index_of_key(key));
    items.retain(|&index| Some(index) != last);
    within_quotas(engine, sitting, &mut items);
    within_exposure(engine, sitting, &mut items);
    let candidates = items.len();
    let mut scored: Vec<(u32, Terms)> = items
        .into_iter()
        .map(|index| (index, terms(engine, learner, index, ability, standard_error)))
        .collect();
    let order = |a: &(u32, Terms), b: &(u32, Terms)| {
        b.1.total().total_cmp(&a.1.total()).then(a.0.cmp(&b.0))
    };
    if scored.len() > SHORT_LIST {
        scored.select_nth_unstable_by(SHORT_LIST, order);
        scored.truncate(SHORT_LIST);
    }
    scored.sort_unstable_by(order);
    let best = scored.first()?.1.total();
    let weights: Vec<f64> =
        scored.iter().map(|(_, terms)| ((terms.total() - best) / TEMPERATURE).exp()).collect();
    let (at, propensity) = draw(&weights, rng);
    let (index, terms) = scored[at];
    let item = &engine.catalog().items()[index as usize];
    let choice = Choice {
        index,
        reason: Reason::MostInformative,
        policy: POLICY,
        probability: engine.model().predict(learner, item, now).probability,
        propensity,
        terms,
        candidates,
    };
    Some(engine.selection(learner, &choice, |_| {}))
}

/// Keeps the items of the quota that is furthest behind and still has some (Kingsbury & Zara,
/// 1989).
fn within_quotas(engine: &Engine, sitting: Sitting<'_>, items: &mut Vec<u32>) {
    let all = engine.catalog().items();
    let fits = |quota: &Quota, item: &Item| {
        quota.level.is_none_or(|level| item.level == Some(level))
            && quota.skill.as_ref().is_none_or(|s| item.skills.contains(&SkillKey::from(s)))
    };
    let asked: Vec<&Item> =
        sitting.asked.iter().filter_map(|id| engine.catalog().item(id)).collect();
    let sum: f64 = sitting.plan.blueprint.iter().map(|quota| quota.share).sum();
    let behind = |quota: &Quota| {
        let had = asked.iter().filter(|item| fits(quota, item)).count();
        quota.share / sum * (asked.len() + 1) as f64 - had as f64
    };
    let furthest = sitting
        .plan
        .blueprint
        .iter()
        .filter(|quota| items.iter().any(|&index| fits(quota, &all[index as usize])))
        .max_by(|a, b| behind(a).total_cmp(&behind(b)));
    if let Some(quota) = furthest {
        items.retain(|&index| fits(quota, &all[index as usize]));
    }
}

/// Keeps the items that the exposure cap lets pass; where it lets none pass, those shown least.
fn within_exposure(engine: &Engine, sitting: Sitting<'_>, items: &mut Vec<u32>) {
    let Some(cap) = sitting.plan.exposure else { return };
    let key = |index: u32| engine.catalog().items()[index as usize].key;
    let exposure = sitting.exposure;
    if items.iter().any(|&index| exposure.allows(key(index), cap)) {
        items.retain(|&index| exposure.allows(key(index), cap));
    } else if let Some(least) = items.iter().map(|&index| exposure.shown(key(index))).min() {
        items.retain(|&index| exposure.shown(key(index)) == least);
    }
}

fn terms(engine: &Engine, learner: &Learner, index: u32, ability: f64, error: f64) -> Terms {
    let item = &engine.catalog().items()[index as usize];
    let information = engine.curve(index).information(ability).max(1e-9);
    let same_skill = learner.previous.skill.is_some_and(|skill| item.skills.contains(&skill));
    Terms {
        information: (information * error * error).ln(),
        novelty: if learner.item(item.key).is_none() { 0.5 } else { 0.0 },
        exposure: -0.3 * f64::from(engine.exposure(index).ln().max(0.0)),
        variety: if same_skill { -0.3 } else { 0.0 },
        ..Terms::default()
    }
}
