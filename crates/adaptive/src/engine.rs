//! Catalogue and model together: what serving holds, replaced whole when either changes.

use std::sync::Arc;

use jiff::Timestamp;
use quizmentor_core::{Level, QuestionId};

use crate::{
    Catalog, Gaussian, Item, Learner, Model, Outcome, Prediction, SkillKey, gaussian::sigmoid,
    paths::SkillGraph,
};

/// An item, or the average of several, as a response curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Curve {
    /// Difficulty, skills and intercept included, in logits.
    pub(crate) difficulty: f32,
    /// Discrimination.
    pub(crate) slope: f32,
    /// Guess floor.
    pub(crate) guess: f32,
}

impl Curve {
    /// Probability of a right answer at an ability.
    pub(crate) fn probability(self, ability: f64) -> f64 {
        let guess = f64::from(self.guess);
        guess + (1.0 - guess) * self.knowledge(ability)
    }

    /// Probability of knowing the answer at an ability, guesses aside.
    pub(crate) fn knowledge(self, ability: f64) -> f64 {
        sigmoid(f64::from(self.slope) * (ability - f64::from(self.difficulty)))
    }

    /// Fisher information at an ability (Lord, 1980, for three parameters).
    pub(crate) fn information(self, ability: f64) -> f64 {
        let (p, guess) = (self.probability(ability), f64::from(self.guess));
        let knows = (p - guess) / (1.0 - guess);
        f64::from(self.slope).powi(2) * knows * knows * (1.0 - p) / p
    }
}

/// The typical items of a skill: of each Bloom level and of all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Typical {
    pub(crate) all: Option<Curve>,
    pub(crate) levels: [Option<Curve>; 6],
}

/// The catalogue and the model that serving works with.
#[derive(Debug, Clone)]
pub struct Engine {
    catalog: Arc<Catalog>,
    model: Arc<Model>,
    curves: Vec<Curve>,
    typical: Vec<Typical>,
    /// By skill, its items but for pilots, the easiest first.
    by_difficulty: Vec<Vec<u32>>,
    /// Items but for pilots, those of several skills counted for each.
    scored: usize,
    pilots: Vec<u32>,
    /// By skill, positions of its prerequisites.
    prerequisites: Vec<Vec<usize>>,
    mean_answers: f32,
}

impl Engine {
    /// Joins the two; takes time in proportion to the catalogue, some 0.2 ms for 1,000 items.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, model: Arc<Model>) -> Self {
        let curves: Vec<Curve> = catalog.items().iter().map(|item| curve(&model, item)).collect();
        let by_difficulty: Vec<Vec<u32>> =
            catalog.skills().iter().map(|s| by_difficulty(&catalog, &curves, &s.items)).collect();
        let typical = by_difficulty.iter().map(|s| typical(&catalog, &curves, s)).collect();
        let pilots = (0..catalog.len() as u32)
            .filter(|&index| catalog.items()[index as usize].pilot)
            .collect();
        let answers: u64 =
            catalog.items().iter().map(|item| u64::from(model.item_answers(item.key))).sum();
        let mean_answers = answers as f32 / catalog.len().max(1) as f32;
        let scored = by_difficulty.iter().map(Vec::len).sum();
        let prerequisites = vec![Vec::new(); catalog.skills().len()];
        Self {
            catalog,
            model,
            curves,
            typical,
            by_difficulty,
            scored,
            pilots,
            prerequisites,
            mean_answers,
        }
    }

    /// The same with skills that open only when their prerequisites are mastered. Prerequisites
    /// without items are taken as mastered.
    #[must_use]
    pub fn with_prerequisites(mut self, graph: &SkillGraph) -> Self {
        let position = |id| self.catalog.skill_position(SkillKey::from(id));
        self.prerequisites = self
            .catalog
            .skills()
            .iter()
            .map(|skill| graph.prerequisites(&skill.id).filter_map(position).collect())
            .collect();
        self
    }

    /// The items.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The parameters.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What `learner` would make of a question at `now`; `None` when it is not in the catalogue.
    #[must_use]
    pub fn predict(
        &self,
        learner: &Learner,
        question: &QuestionId,
        now: Timestamp,
    ) -> Option<Prediction> {
        Some(self.model.predict(learner, self.catalog.item(question)?, now))
    }

    /// Takes an answer into the learner's state and returns what was predicted of it; `None`, with
    /// nothing changed, when the question is not in the catalogue.
    pub fn observe(
        &self,
        learner: &mut Learner,
        question: &QuestionId,
        outcome: &Outcome,
    ) -> Option<Prediction> {
        Some(learner.observe(&self.model, self.catalog.item(question)?, outcome))
    }

    pub(crate) fn curve(&self, index: u32) -> Curve {
        self.curves[index as usize]
    }

    /// The typical items of each skill, in the order of the catalogue's skills.
    pub(crate) fn typical(&self) -> &[Typical] {
        &self.typical
    }

    /// The items of a skill but for pilots, the easiest first; by position of the skill.
    pub(crate) fn by_difficulty(&self, skill: usize) -> &[u32] {
        &self.by_difficulty[skill]
    }

    /// Items but for pilots, those of several skills counted for each.
    pub(crate) fn scored(&self) -> usize {
        self.scored
    }

    /// The items on trial.
    pub(crate) fn pilots(&self) -> &[u32] {
        &self.pilots
    }

    /// Positions of a skill's prerequisites.
    pub(crate) fn prerequisites(&self, skill: usize) -> &[usize] {
        &self.prerequisites[skill]
    }

    /// How often an item was answered, 1 being the average of the catalogue.
    pub(crate) fn exposure(&self, index: u32) -> f32 {
        let answers = self.model.item_answers(self.catalog.items()[index as usize].key);
        (answers as f32 + 1.0) / (self.mean_answers + 1.0)
    }
}

/// Belief over the ability that counts for one skill: overall and on the skill.
pub(crate) fn ability_for(learner: &Learner, skill: SkillKey, now: Timestamp) -> Gaussian {
    let now = Some(now.as_second());
    let (whole, own) = (learner.ability_at(now), learner.skill_ability_at(skill, now));
    Gaussian::new(whole.mean + own.mean, whole.variance + own.variance)
}

fn curve(model: &Model, item: &Item) -> Curve {
    Curve {
        difficulty: model.difficulty(item).mean - model.intercept().mean,
        slope: model.discrimination(item) as f32,
        guess: item.guess,
    }
}

fn by_difficulty(catalog: &Catalog, curves: &[Curve], items: &[u32]) -> Vec<u32> {
    let scored = |index: &u32| !catalog.items()[*index as usize].pilot;
    let mut items: Vec<u32> = items.iter().copied().filter(scored).collect();
    let difficulty = |index: u32| curves[index as usize].difficulty;
    items.sort_unstable_by(|&a, &b| difficulty(a).total_cmp(&difficulty(b)).then(a.cmp(&b)));
    items
}

fn typical(catalog: &Catalog, curves: &[Curve], items: &[u32]) -> Typical {
    let of = |level: Option<Level>| {
        let members = items
            .iter()
            .filter(|&&i| level.is_none() || catalog.items()[i as usize].level == level)
            .map(|&i| curves[i as usize]);
        mean(members)
    };
    Typical { all: of(None), levels: Level::ALL.map(|level| of(Some(level))) }
}

/// The average curve; `None` of nothing.
pub(crate) fn mean(curves: impl Iterator<Item = Curve>) -> Option<Curve> {
    weighted_mean(curves.map(|curve| (1.0, curve)))
}

/// The average of curves with weights; `None` of nothing.
pub(crate) fn weighted_mean(curves: impl Iterator<Item = (f32, Curve)>) -> Option<Curve> {
    let (mut count, mut sum) = (0.0, Curve { difficulty: 0.0, slope: 0.0, guess: 0.0 });
    for (weight, curve) in curves {
        count += weight;
        sum.difficulty += weight * curve.difficulty;
        sum.slope += weight * curve.slope;
        sum.guess += weight * curve.guess;
    }
    (count > 0.0).then(|| Curve {
        difficulty: sum.difficulty / count,
        slope: sum.slope / count,
        guess: sum.guess / count,
    })
}
