//! What is known of items and skills: the snapshot that serving reads and the background learns.

use jiff::Timestamp;
use quizmentor_core::Level;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Gaussian, Item, ItemKey, Learner, SkillKey,
    features::{Belief, FIRST_OWN, Features, shared},
    gaussian::{Step, sigmoid},
    keys::KeyMap,
};

/// Weights of its own that an item has.
pub(crate) const ITEM_WEIGHTS: u32 = 1;
/// Weights of its own that a skill has.
pub(crate) const SKILL_WEIGHTS: u32 = 66;

/// The one skill of items that name none.
const NO_SKILL: [SkillKey; 1] = [SkillKey(0)];

/// The skills of an item, never none.
pub(crate) fn skills_of(item: &Item) -> &[SkillKey] {
    if item.skills.is_empty() { &NO_SKILL } else { &item.skills }
}

/// What an answer is expected to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Probability of a right answer, (0, 1), guessing included.
    pub probability: f64,
    /// Mean of z, ability against difficulty, in logits.
    pub mean: f64,
    /// Variance of z.
    pub variance: f64,
}

/// A weight of the logistic regression and the sum of its squared gradients (AdaGrad; Duchi,
/// Hazan & Singer, 2011).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weight {
    value: f32,
    squares: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ItemParameters {
    pub(crate) difficulty: Gaussian,
    pub(crate) log_slope: Gaussian,
    pub(crate) answers: u32,
    pub(crate) right: f32,
    base: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SkillParameters {
    difficulty: Gaussian,
    base: u32,
}

/// Parameters of items and skills, and the weights of the features, at one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    version: u64,
    answers: u64,
    intercept: Gaussian,
    items: KeyMap<ItemKey, ItemParameters>,
    skills: KeyMap<SkillKey, SkillParameters>,
    weights: Vec<Weight>,
}

/// The encoded form: maps in order of key, weights that never moved left out.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u64,
    answers: u64,
    intercept: Gaussian,
    items: Vec<(ItemKey, ItemParameters)>,
    skills: Vec<(SkillKey, SkillParameters)>,
    weights: u32,
    moved: Vec<(u32, Weight)>,
}

const FORMAT: u8 = 1;
const PRIOR_INTERCEPT: Gaussian = Gaussian::new(0.0, 0.5);
const PRIOR_LOG_SLOPE: Gaussian = Gaussian::new(0.0, 0.1);
const PRIOR_SKILL: Gaussian = Gaussian::new(0.0, 0.5);
const LEARNING_RATE: f32 = 0.1;
/// Damps the first steps of a weight.
const DAMPING: f32 = 1e-2;

/// Belief over the difficulty of an item of which only what people say is known: the author's
/// estimate, 0.6 logits a step, and a quarter logit for each Bloom level above or below
/// application.
fn stated_difficulty(item: &Item) -> Gaussian {
    let author = item.difficulty.map_or(0.0, |d| 0.6 * (f32::from(d.clamp(1, 5)) - 3.0));
    let level = |level: Level| 0.25 * (level.index() as f32 - Level::Apply.index() as f32);
    let mean = author + item.level.map_or(0.0, level);
    Gaussian::new(mean, if item.difficulty.is_some() { 0.6 } else { 1.0 })
}

/// Variance between the difficulties of texts that mean the same …
const KIN: f32 = 0.6;
/// … and of texts that have nothing in common, on top of it.
const STRANGERS: f32 = 6.0;
/// However many neighbours agree, they share what they do not know.
const SURE: f32 = 0.3;

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// The cold start: version 0, nothing known but what authors say.
    #[must_use]
    pub fn new() -> Self {
        let mut weights = vec![Weight::default(); FIRST_OWN as usize];
        weights[shared::Z as usize].value = 1.0;
        Self {
            version: 0,
            answers: 0,
            intercept: PRIOR_INTERCEPT,
            items: KeyMap::default(),
            skills: KeyMap::default(),
            weights,
        }
    }

    /// Grows with each snapshot; 0 is the cold start.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Answers learned from.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Answers to an item that were learned from.
    #[must_use]
    pub fn item_answers(&self, key: ItemKey) -> u32 {
        self.items.get(&key).map_or(0, |p| p.answers)
    }

    /// Belief over an item's difficulty in logits, its skills' included.
    #[must_use]
    pub fn difficulty(&self, item: &Item) -> Gaussian {
        let own = self.item_beliefs(item).0;
        let skills = skills_of(item);
        let share = 1.0 / skills.len() as f32;
        skills.iter().map(|&key| self.skill_difficulty(key)).fold(own, |sum, skill| {
            Gaussian::new(
                sum.mean + share * skill.mean,
                sum.variance + share * share * skill.variance,
            )
        })
    }

    /// The difficulty at which a learner of average ability is as often right as wrong, guessing
    /// aside; in logits, on the scale of [`difficulty`](Self::difficulty).
    #[must_use]
    pub fn mean_difficulty(&self) -> f32 {
        self.intercept.mean
    }

    /// An item's discrimination: how steeply the chance of a right answer grows with ability.
    #[must_use]
    pub fn discrimination(&self, item: &Item) -> f64 {
        f64::from(self.item_beliefs(item).1.mean).exp()
    }

    /// Belief over the difficulty of an item that nobody has answered: what people say, corrected
    /// by the items with similar texts. A product of Gaussians, each neighbour as wide as its own
    /// uncertainty and its distance in meaning.
    fn prior_difficulty(&self, item: &Item) -> Gaussian {
        let stated = stated_difficulty(item);
        let (mut precision, mut sum) = (1.0 / stated.variance, stated.mean / stated.variance);
        for neighbour in &item.neighbours {
            let Some(known) = self.items.get(&neighbour.key) else { continue };
            let apart = 1.0 - neighbour.similarity.clamp(0.0, 1.0);
            let weight = 1.0 / (known.difficulty.variance + KIN + STRANGERS * apart);
            precision += weight;
            sum += weight * known.difficulty.mean;
        }
        Gaussian::new(sum / precision, (1.0 / precision).max(SURE.min(stated.variance)))
    }

    pub(crate) fn intercept(&self) -> Gaussian {
        self.intercept
    }

    /// Beliefs over an item's own difficulty and log discrimination.
    pub(crate) fn item_beliefs(&self, item: &Item) -> (Gaussian, Gaussian) {
        self.items.get(&item.key).map_or_else(
            || (self.prior_difficulty(item), PRIOR_LOG_SLOPE),
            |p| (p.difficulty, p.log_slope),
        )
    }

    pub(crate) fn skill_difficulty(&self, key: SkillKey) -> Gaussian {
        self.skills.get(&key).map_or(PRIOR_SKILL, |p| p.difficulty)
    }

    /// Address of the first weight of an item.
    pub(crate) fn item_weights(&self, key: ItemKey) -> Option<u32> {
        self.items.get(&key).map(|p| p.base)
    }

    /// Address of the first weight of a skill.
    pub(crate) fn skill_weights(&self, key: SkillKey) -> Option<u32> {
        self.skills.get(&key).map(|p| p.base)
    }

    /// What `learner` would make of `item` at `now` (`None` where no times are known).
    #[must_use]
    pub fn predict(
        &self,
        learner: &Learner,
        item: &Item,
        now: impl Into<Option<Timestamp>>,
    ) -> Prediction {
        let now = now.into().map(Timestamp::as_second);
        self.predict_with(learner, item, &Belief::new(self, learner, item, now), now)
    }

    pub(crate) fn predict_with(
        &self,
        learner: &Learner,
        item: &Item,
        belief: &Belief,
        now: Option<i64>,
    ) -> Prediction {
        let features = Features::new(self, learner, item, belief, now);
        self.respond(&features, belief)
    }

    /// The prediction from features.
    pub(crate) fn respond(&self, features: &Features, belief: &Belief) -> Prediction {
        let probability = belief.guess() + (1.0 - belief.guess()) * sigmoid(self.logit(features));
        Prediction {
            probability: probability.clamp(1e-6, 1.0 - 1e-6),
            mean: belief.mean,
            variance: belief.variance,
        }
    }

    /// w·x.
    pub(crate) fn logit(&self, features: &Features) -> f64 {
        features.0.iter().map(|&(at, x)| f64::from(self.weights[at as usize].value * x)).sum()
    }

    /// Gives the item and its skills parameters of their own, if they have none yet.
    pub(crate) fn admit(&mut self, item: &Item) {
        let prior = self.prior_difficulty(item);
        let weights = &mut self.weights;
        let mut allot = |count: u32| {
            let base = weights.len() as u32;
            weights.resize(weights.len() + count as usize, Weight::default());
            base
        };
        self.items.entry(item.key).or_insert_with(|| ItemParameters {
            difficulty: prior,
            log_slope: PRIOR_LOG_SLOPE,
            answers: 0,
            right: 0.0,
            base: allot(ITEM_WEIGHTS),
        });
        for &key in skills_of(item) {
            self.skills.entry(key).or_insert_with(|| SkillParameters {
                difficulty: PRIOR_SKILL,
                base: allot(SKILL_WEIGHTS),
            });
        }
    }

    /// Moves parameters and weights after an answer worth `credit` to an admitted item.
    pub(crate) fn learn(
        &mut self,
        item: &Item,
        features: &Features,
        belief: &Belief,
        step: Step,
        credit: f64,
    ) {
        self.learn_weights(features, belief.guess(), credit);
        let slope = belief.slope;
        self.intercept = self.intercept.absorb(slope, step);
        self.learn_item(item, belief, step, credit);
        let skills = skills_of(item);
        for key in skills {
            if let Some(p) = self.skills.get_mut(key) {
                p.difficulty = p.difficulty.absorb(-slope / skills.len() as f64, step);
            }
        }
        self.answers += 1;
    }

    /// Moves the parameters of an admitted item alone.
    pub(crate) fn learn_item(&mut self, item: &Item, belief: &Belief, step: Step, credit: f64) {
        if let Some(p) = self.items.get_mut(&item.key) {
            p.difficulty = p.difficulty.absorb(-belief.slope, step);
            p.log_slope = p.log_slope.absorb(belief.mean, step);
            p.log_slope.mean = p.log_slope.mean.clamp(-1.2, 1.2);
            p.answers = p.answers.saturating_add(1);
            p.right += credit as f32;
        }
    }

    /// One AdaGrad step on the log-loss of p = c + (1 − c) σ(w·x).
    fn learn_weights(&mut self, features: &Features, guess: f64, credit: f64) {
        let knows = sigmoid(self.logit(features));
        let p = guess + (1.0 - guess) * knows;
        let error = (credit - p) * knows / p.max(1e-9);
        for &(at, x) in &features.0 {
            let weight = &mut self.weights[at as usize];
            let gradient = -error as f32 * x;
            weight.squares += gradient * gradient;
            weight.value -= LEARNING_RATE * gradient / (DAMPING + weight.squares).sqrt();
        }
    }

    /// The model as bytes: a version byte, then a compact encoding, the same for equal models.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let untouched = Weight::default();
        let wire = Wire {
            version: self.version,
            answers: self.answers,
            intercept: self.intercept,
            items: in_order(&self.items),
            skills: in_order(&self.skills),
            weights: self.weights.len() as u32,
            moved: (0..)
                .zip(self.weights.iter().copied())
                .filter(|&(_, weight)| weight != untouched)
                .collect(),
        };
        postcard::to_extend(&wire, vec![FORMAT]).expect("a vector takes any number of bytes")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are truncated, of another format, or hold impossible numbers.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "model";
        let (&format, body) =
            bytes.split_first().ok_or_else(|| Error::corrupt(WHAT, "no bytes"))?;
        if format != FORMAT {
            return Err(Error::Format { what: WHAT, found: format, expected: FORMAT });
        }
        let (wire, rest) =
            postcard::take_from_bytes::<Wire>(body).map_err(|e| Error::corrupt(WHAT, e))?;
        if !rest.is_empty() {
            return Err(Error::corrupt(WHAT, format!("{} bytes too many", rest.len())));
        }
        wire.into_model().ok_or_else(|| Error::corrupt(WHAT, "a number is out of range"))
    }
}

fn in_order<K: Ord + Copy, V: Clone>(map: &KeyMap<K, V>) -> Vec<(K, V)> {
    let mut pairs: Vec<(K, V)> = map.iter().map(|(&key, value)| (key, value.clone())).collect();
    pairs.sort_by_key(|&(key, _)| key);
    pairs
}

impl Wire {
    fn into_model(self) -> Option<Model> {
        let own =
            self.items.len() * ITEM_WEIGHTS as usize + self.skills.len() * SKILL_WEIGHTS as usize;
        let count = self.weights as usize;
        let fits = |base: u32, own: u32| {
            base >= FIRST_OWN && base.checked_add(own).is_some_and(|end| end <= self.weights)
        };
        let valid = count == FIRST_OWN as usize + own
            && self.intercept.is_valid()
            && self.items.iter().all(|(_, p)| {
                p.difficulty.is_valid()
                    && p.log_slope.is_valid()
                    && p.right.is_finite()
                    && fits(p.base, ITEM_WEIGHTS)
            })
            && self
                .skills
                .iter()
                .all(|(_, p)| p.difficulty.is_valid() && fits(p.base, SKILL_WEIGHTS))
            && self.moved.iter().all(|&(at, w)| {
                at < self.weights
                    && w.value.is_finite()
                    && w.squares.is_finite()
                    && w.squares >= 0.0
            });
        if !valid {
            return None;
        }
        let mut weights = vec![Weight::default(); count];
        for (at, weight) in self.moved {
            weights[at as usize] = weight;
        }
        Some(Model {
            version: self.version,
            answers: self.answers,
            intercept: self.intercept,
            items: self.items.into_iter().collect(),
            skills: self.skills.into_iter().collect(),
            weights,
        })
    }
}
