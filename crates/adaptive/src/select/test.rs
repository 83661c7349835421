//! Test: the item that tells most about the learner's ability, spread over items and skills.

use jiff::Timestamp;
use rand::Rng;

use super::{Reason, Request, Selection, Terms, Why, pool, practice::draw};
use crate::{Engine, Learner, engine::ability_for};

const POLICY: &str = "test-1";
/// The most informative items compete.
const SHORT_LIST: usize = 16;
/// Weight of the logarithm of information against that of exposure.
const TEMPERATURE: f64 = 0.2;

pub(super) fn choose(
    engine: &Engine,
    learner: &Learner,
    request: &Request<'_>,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Selection> {
    let items = pool::others(engine, learner, request);
    let candidates = items.len();
    let mut scored: Vec<(u32, Terms)> =
        items.into_iter().map(|index| (index, terms(engine, learner, index, now))).collect();
    scored.sort_by(|a, b| b.1.total().total_cmp(&a.1.total()).then(a.0.cmp(&b.0)));
    scored.truncate(SHORT_LIST);
    let best = scored.first()?.1.total();
    let weights: Vec<f64> =
        scored.iter().map(|(_, terms)| ((terms.total() - best) / TEMPERATURE).exp()).collect();
    let (at, propensity) = draw(&weights, rng);
    let (index, terms) = scored[at];
    let item = &engine.catalog().items()[index as usize];
    let probability = engine.model().predict(learner, item, now).probability;
    let skill = item.skills.first().and_then(|&key| engine.catalog().skill(key));
    let why = Why {
        sentence: String::new(),
        reason: Reason::MostInformative,
        policy: POLICY.to_owned(),
        model: engine.model().version(),
        skill: skill.map(|s| s.id.clone()),
        level: item.level,
        probability,
        target: None,
        retrievability: None,
        terms,
        candidates: candidates as u32,
    };
    Some(Selection {
        index,
        question: engine.catalog().id(index).clone(),
        probability,
        propensity,
        why: why.worded(false),
    })
}

fn terms(engine: &Engine, learner: &Learner, index: u32, now: Timestamp) -> Terms {
    let item = &engine.catalog().items()[index as usize];
    let ability = item
        .skills
        .first()
        .map_or_else(|| learner.ability(now), |&skill| ability_for(learner, skill, now));
    let information = engine.curve(index).information(f64::from(ability.mean)).max(1e-9);
    let same_skill = learner.previous.skill.is_some_and(|skill| item.skills.contains(&skill));
    Terms {
        information: (information * f64::from(ability.variance)).ln(),
        novelty: if learner.item(item.key).is_none() { 0.5 } else { 0.0 },
        exposure: -0.3 * f64::from(engine.exposure(index).ln().max(0.0)),
        variety: if same_skill { -0.3 } else { 0.0 },
        ..Terms::default()
    }
}
