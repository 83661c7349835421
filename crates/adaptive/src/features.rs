//! What the online logistic regression sees of a learner, an item and the moment.

use crate::{
    Gaussian, Item, Learner, Model, Outcome,
    gaussian::{self, Step, expected_sigmoid, logit},
    keys::mix,
    learner::{ItemState, SkillState, elapsed, practice_kept},
    model::{ITEM_WEIGHTS, SKILL_WEIGHTS, skills_of},
};

/// The belief over z = a (θ + mean θ_k − b − mean b_k) at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belief {
    /// Mean of z.
    pub(crate) mean: f64,
    /// Variance of z.
    pub(crate) variance: f64,
    /// Discrimination a, the coefficient of the abilities in z.
    pub(crate) slope: f64,
    /// The item's guess floor.
    guess: f64,
}

impl Belief {
    pub(crate) fn new(model: &Model, learner: &Learner, item: &Item, now: Option<i64>) -> Self {
        let ability = learner.ability_at(now);
        let skills = skills_of(item);
        let share = 1.0 / skills.len() as f64;
        let mut sum = Sum::default();
        sum.add(1.0, ability);
        sum.add(1.0, model.intercept());
        let (difficulty, log_slope) = model.item_beliefs(item);
        sum.add(-1.0, difficulty);
        for &key in skills {
            sum.add(share, learner.skill_ability_at(key, now));
            sum.add(-share, model.skill_difficulty(key));
        }
        let slope = f64::from(log_slope.mean).exp();
        let mean = slope * sum.mean;
        let variance = slope * slope * sum.variance + mean * mean * f64::from(log_slope.variance);
        Self { mean, variance, slope, guess: f64::from(item.guess) }
    }

    /// How an answer moves what the belief is made of.
    pub(crate) fn observe(&self, item: &Item, outcome: &Outcome) -> Step {
        gaussian::observe(self.mean, self.variance, f64::from(item.guess), outcome.worth())
    }

    /// Expected σ(z) under the belief.
    pub(crate) fn probability(&self) -> f64 {
        expected_sigmoid(self.mean, self.variance)
    }

    pub(crate) fn guess(&self) -> f64 {
        self.guess
    }
}

#[derive(Default)]
struct Sum {
    mean: f64,
    variance: f64,
}

impl Sum {
    fn add(&mut self, coefficient: f64, belief: Gaussian) {
        self.mean += coefficient * f64::from(belief.mean);
        self.variance += coefficient * coefficient * f64::from(belief.variance);
    }
}

/// Addresses of the weights that the whole model shares.
pub(crate) mod shared {
    pub(crate) const BIAS: u32 = 0;
    /// logit E σ(z); its weight starts at 1.
    pub(crate) const Z: u32 = 1;
    pub(crate) const RIGHT: u32 = 2;
    pub(crate) const WRONG: u32 = 3;
    pub(crate) const ITEM_RIGHT: u32 = 4;
    pub(crate) const ITEM_WRONG: u32 = 5;
    pub(crate) const ITEM_LAST: u32 = 6;
    /// By same item as before (2) × last outcome (3).
    pub(crate) const SAME_ITEM: u32 = 10;
    /// By same skill as before (2) × last two outcomes (9).
    pub(crate) const SAME_SKILL: u32 = 16;
    pub(crate) const SKILL_RIGHT: u32 = 38;
    pub(crate) const SKILL_WRONG: u32 = 39;
    pub(crate) const SKILL_SEEN: u32 = 40;
    pub(crate) const EARLY: u32 = 41;
    pub(crate) const SKILL_GAP: u32 = 42;
    pub(crate) const SKILL_KEPT_RIGHT: u32 = 43;
    pub(crate) const SKILL_KEPT_WRONG: u32 = 44;
    pub(crate) const ITEM_GAP: u32 = 45;
    pub(crate) const ITEM_GAP_LAST: u32 = 46;
    pub(crate) const ITEM_SEEN: u32 = 47;
    /// How many there are.
    pub(crate) const COUNT: u32 = 64;
}

/// Buckets of the hashed transitions, a power of two.
pub(crate) const BUCKETS: u32 = 1 << 20;

/// Weight addresses with their values.
#[derive(Debug, Default)]
pub(crate) struct Features(pub(crate) Vec<(u32, f32)>);

/// Less weight to rates that every item or skill learns on its own.
const SPECIFIC: f32 = 0.25;

impl Features {
    pub(crate) fn new(
        model: &Model,
        learner: &Learner,
        item: &Item,
        belief: &Belief,
        now: Option<i64>,
    ) -> Self {
        let mut features = Self(Vec::with_capacity(64));
        features.whole(learner, belief);
        let state = learner.items.get(&item.key).copied().unwrap_or_default();
        features.item(model, item, &state, now);
        features.order(learner, item);
        features.skills(model, learner, item, now);
        features.transitions(learner, item, &state);
        features
    }

    fn add(&mut self, address: u32, value: f32) {
        self.0.push((address, value));
    }

    fn whole(&mut self, learner: &Learner, belief: &Belief) {
        self.add(shared::BIAS, 1.0);
        self.add(shared::Z, logit(belief.probability()) as f32);
        self.add(shared::RIGHT, SPECIFIC * learner.right.ln_1p());
        self.add(shared::WRONG, SPECIFIC * learner.wrong.ln_1p());
        self.add(shared::EARLY, 1.0 / (1.0 + learner.answers as f32));
    }

    fn item(&mut self, model: &Model, item: &Item, state: &ItemState, now: Option<i64>) {
        if let Some(base) = model.item_weights(item.key) {
            self.add(base, SPECIFIC);
        }
        self.add(shared::ITEM_RIGHT, f32::from(state.right).ln_1p());
        self.add(shared::ITEM_WRONG, f32::from(state.wrong).ln_1p());
        self.add(shared::ITEM_LAST, f32::from(state.last));
        if let Some(seconds) = elapsed(state.at, now) {
            let gap = 0.2 * log_minutes(seconds);
            self.add(shared::ITEM_GAP, gap);
            self.add(shared::ITEM_GAP_LAST, gap * f32::from(state.last));
            self.add(shared::ITEM_SEEN, 1.0);
        }
    }

    fn order(&mut self, learner: &Learner, item: &Item) {
        let previous = &learner.previous;
        let [last, before] = previous.outcomes.map(|o| (o + 1) as u32);
        let same_item = u32::from(previous.item == Some(item.key));
        let same_skill = u32::from(previous.skill == skills_of(item).first().copied());
        self.add(shared::SAME_ITEM + same_item * 3 + last, 0.5);
        self.add(shared::SAME_SKILL + same_skill * 9 + last * 3 + before, 0.5);
    }

    fn skills(&mut self, model: &Model, learner: &Learner, item: &Item, now: Option<i64>) {
        let skills = skills_of(item);
        let share = 1.0 / skills.len() as f32;
        let mut total = SkillTotals::default();
        for &key in skills {
            let state = learner.skills.get(&key).copied().unwrap_or_else(SkillState::new);
            total.add(share, &state, now);
            if let Some(base) = model.skill_weights(key) {
                self.skill(base, share, &state);
            }
        }
        self.add(shared::SKILL_RIGHT, SPECIFIC * total.right);
        self.add(shared::SKILL_WRONG, SPECIFIC * total.wrong);
        self.add(shared::SKILL_SEEN, SPECIFIC * total.seen);
        if now.is_some() {
            self.add(shared::SKILL_GAP, 0.2 * total.gap);
            self.add(shared::SKILL_KEPT_RIGHT, 0.5 * total.kept[0].ln_1p());
            self.add(shared::SKILL_KEPT_WRONG, 0.5 * total.kept[1].ln_1p());
        }
    }

    fn skill(&mut self, base: u32, share: f32, state: &SkillState) {
        self.add(base, share * SPECIFIC);
        self.add(base + 1, share * SPECIFIC * state.right.ln_1p());
        self.add(base + 2, share * SPECIFIC * state.wrong.ln_1p());
        let history = state.seen.min(6) * 9 + u32::from(state.recent);
        self.add(base + 3 + history, share * 0.5);
        debug_assert!(3 + history < SKILL_WEIGHTS);
    }

    fn transitions(&mut self, learner: &Learner, item: &Item, state: &ItemState) {
        let previous = &learner.previous;
        let last = (state.last + 1) as u64;
        self.hashed(1, item.key.0, last + 4 * u64::from(state.seen.min(3)));
        let outcome = (previous.outcomes[0] + 1) as u64;
        if let (Some(before), Some(skill)) = (previous.item, previous.skill) {
            self.hashed(2, item.key.0, before.0.rotate_left(2) ^ outcome);
            self.hashed(3, skills_of(item)[0].0, skill.0.rotate_left(2) ^ outcome);
        }
    }

    fn hashed(&mut self, kind: u64, a: u64, b: u64) {
        let bucket = mix(mix(a ^ kind) ^ b) as u32 % BUCKETS;
        self.add(shared::COUNT + bucket, 0.4);
    }
}

/// Means over an item's skills.
#[derive(Default)]
struct SkillTotals {
    right: f32,
    wrong: f32,
    seen: f32,
    gap: f32,
    kept: [f32; 2],
}

impl SkillTotals {
    fn add(&mut self, share: f32, state: &SkillState, now: Option<i64>) {
        self.right += share * state.right.ln_1p();
        self.wrong += share * state.wrong.ln_1p();
        self.seen += share * (state.seen as f32).ln_1p();
        if let Some(seconds) = elapsed(state.at, now) {
            self.gap += share * log_minutes(seconds);
            let kept = practice_kept(seconds);
            self.kept[0] += share * kept * state.decayed[0];
            self.kept[1] += share * kept * state.decayed[1];
        }
    }
}

fn log_minutes(seconds: f64) -> f32 {
    (seconds as f32 / 60.0).ln_1p()
}

/// Weights in front of those of items and skills.
pub(crate) const FIRST_OWN: u32 = shared::COUNT + BUCKETS;
const _: () = assert!(ITEM_WEIGHTS >= 1 && SKILL_WEIGHTS >= 66);
