//! What the online logistic regression sees of a learner, an item and the moment.

use crate::{
    Gaussian, Item, Learner, Model, Outcome,
    gaussian::{self, Step, expected_sigmoid, logit},
    keys::mix,
    learner::{ItemState, Pace, Recent, SkillState, elapsed, practice_kept},
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
    use super::GAPS;
    use crate::learner::Recent;

    pub(crate) const BIAS: u32 = 0;
    /// logit E σ(z); its weight starts at 1.
    pub(crate) const Z: u32 = 1;
    /// ln(1 + count) of right and wrong answers, then the logarithm of their ratio; in all, on the
    /// skills, on the item.
    pub(crate) const COUNTS: [u32; 3] = [2, 5, 8];
    pub(crate) const EARLY: u32 = 11;
    pub(crate) const ITEM_LAST: u32 = 12;
    pub(crate) const SKILL_SEEN: u32 = 13;
    pub(crate) const SKILL_KEPT: u32 = 14;
    /// Duration of the last answer and the same times its outcome; in all, skill, item.
    pub(crate) const PACE: [u32; 3] = [16, 18, 20];
    /// Logarithm of the time since the item was met, and the same times its last outcome.
    pub(crate) const ITEM_SINCE: u32 = 22;
    /// By same item as before (2) × last outcome (3).
    pub(crate) const SAME_ITEM: u32 = 24;
    /// By same skill as before (2) × last two outcomes (9).
    pub(crate) const SAME_SKILL: u32 = SAME_ITEM + 6;
    /// By last four outcomes.
    pub(crate) const RECENT: u32 = SAME_SKILL + 18;
    /// By times the item was seen, up to 5 (6), × last two outcomes on it (9).
    pub(crate) const ITEM_HISTORY: u32 = RECENT + Recent::<4>::COUNT;
    /// By time since the item was met × its last outcome (3).
    pub(crate) const ITEM_GAP: u32 = ITEM_HISTORY + 6 * Recent::<2>::COUNT;
    /// The same of the leading skill.
    pub(crate) const SKILL_GAP: u32 = ITEM_GAP + 3 * GAPS;
    /// How many there are.
    pub(crate) const COUNT: u32 = SKILL_GAP + 3 * GAPS;
}

/// Buckets of the hashed transitions, a power of two.
const BUCKETS: u32 = 1 << 20;
/// Classes of time since something was met.
const GAPS: u32 = 20;

/// Weight addresses with their values.
#[derive(Debug, Default)]
pub(crate) struct Features(pub(crate) Vec<(u32, f32)>);

// The value of a feature sets how fast its weight learns; these were tuned together.
const COMMON: f32 = 0.25;
const OWN: f32 = 0.1;
const CLASS: f32 = 0.5;
const TRANSITION: f32 = 0.4;
const OLDER_TRANSITION: f32 = 0.2;

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

    /// ln(1 + right), ln(1 + wrong) times `scale`, and their difference.
    fn counts(&mut self, first: u32, scale: f32, right: f32, wrong: f32) {
        self.add(first, scale * right);
        self.add(first + 1, scale * wrong);
        self.add(first + 2, right - wrong);
    }

    fn pace(&mut self, first: u32, pace: Pace, sign: f32) {
        if let Some(log_seconds) = pace.log_seconds() {
            self.add(first, 0.3 * log_seconds);
            self.add(first + 1, 0.3 * log_seconds * sign);
        }
    }

    fn gap(&mut self, first: u32, since: Option<i64>, now: Option<i64>, last: u32) {
        if let Some(seconds) = elapsed(since, now) {
            let class = ((1.4 * (seconds / 15.0).ln_1p()) as u32).min(GAPS - 1);
            self.add(first + class * 3 + last, CLASS);
        }
    }

    fn whole(&mut self, learner: &Learner, belief: &Belief) {
        self.add(shared::BIAS, 1.0);
        self.add(shared::Z, logit(belief.probability()) as f32);
        let (right, wrong) = (learner.right.ln_1p(), learner.wrong.ln_1p());
        self.counts(shared::COUNTS[0], COMMON, right, wrong);
        self.add(shared::EARLY, 1.0 / (1.0 + learner.answers as f32));
        let previous = &learner.previous;
        self.pace(shared::PACE[0], previous.pace, previous.recent.sign());
        self.add(shared::RECENT + previous.recent.code(), CLASS);
    }

    fn item(&mut self, model: &Model, item: &Item, state: &ItemState, now: Option<i64>) {
        if let Some(base) = model.item_weights(item.key) {
            self.add(base, OWN);
        }
        let (right, wrong) = (f32::from(state.right).ln_1p(), f32::from(state.wrong).ln_1p());
        self.counts(shared::COUNTS[2], 1.0, right, wrong);
        self.add(shared::ITEM_LAST, state.recent.sign());
        let history = state.recent.code() * 6 + u32::from(state.seen.min(5));
        self.add(shared::ITEM_HISTORY + history, CLASS);
        self.pace(shared::PACE[2], state.pace, state.recent.sign());
        self.gap(shared::ITEM_GAP, state.at, now, state.recent.last());
        if let Some(seconds) = elapsed(state.at, now) {
            let since = 0.2 * (seconds as f32 / 60.0).ln_1p();
            self.add(shared::ITEM_SINCE, since);
            self.add(shared::ITEM_SINCE + 1, since * state.recent.sign());
        }
    }

    fn order(&mut self, learner: &Learner, item: &Item) {
        let previous = &learner.previous;
        let same_item = u32::from(previous.item() == Some(item.key));
        let same_skill = u32::from(previous.skill == skills_of(item).first().copied());
        let two = previous.recent.code() % Recent::<2>::COUNT;
        self.add(shared::SAME_ITEM + same_item * 3 + previous.recent.last(), CLASS);
        self.add(shared::SAME_SKILL + same_skill * Recent::<2>::COUNT + two, CLASS);
    }

    fn skills(&mut self, model: &Model, learner: &Learner, item: &Item, now: Option<i64>) {
        let skills = skills_of(item);
        let share = 1.0 / skills.len() as f32;
        let mut means = SkillMeans::default();
        for (nth, &key) in skills.iter().enumerate() {
            let state = learner.skills.get(&key).copied().unwrap_or_else(SkillState::new);
            means.add(share, &state, now);
            if let Some(base) = model.skill_weights(key) {
                self.skill(base, share, &state);
            }
            if nth == 0 {
                self.pace(shared::PACE[1], state.pace, state.recent.sign());
                self.gap(shared::SKILL_GAP, state.at, now, state.recent.last());
            }
        }
        self.counts(shared::COUNTS[1], COMMON, means.right, means.wrong);
        self.add(shared::SKILL_SEEN, COMMON * means.seen);
        if now.is_some() {
            self.add(shared::SKILL_KEPT, 0.5 * means.kept[0].ln_1p());
            self.add(shared::SKILL_KEPT + 1, 0.5 * means.kept[1].ln_1p());
        }
    }

    fn skill(&mut self, base: u32, share: f32, state: &SkillState) {
        self.add(base, share * OWN);
        self.add(base + 1, share * OWN * state.right.ln_1p());
        self.add(base + 2, share * OWN * state.wrong.ln_1p());
        let history = state.seen.min(6) * Recent::<2>::COUNT + state.recent.code();
        self.add(base + 3 + history, share * 2.0 * OWN);
    }

    /// What followed what: the item after the last three, the skill after the last one, and the
    /// item after itself.
    fn transitions(&mut self, learner: &Learner, item: &Item, state: &ItemState) {
        let previous = &learner.previous;
        let itself = u64::from(state.recent.last()) + 4 * u64::from(state.seen.min(3));
        self.hashed(1, item.key.0, itself, TRANSITION);
        for (nth, before) in previous.items.iter().enumerate() {
            if let Some((key, outcome)) = before {
                let (kind, value) = if nth == 0 { (2, TRANSITION) } else { (3, OLDER_TRANSITION) };
                self.hashed(kind, item.key.0, key.0.rotate_left(2) ^ u64::from(*outcome), value);
            }
        }
        if let Some(before) = previous.skill {
            let outcome = u64::from(previous.recent.last());
            let value = before.0.rotate_left(2) ^ outcome;
            self.hashed(4, skills_of(item)[0].0, value, TRANSITION);
        }
    }

    fn hashed(&mut self, kind: u64, a: u64, b: u64, value: f32) {
        let bucket = mix(mix(a ^ kind) ^ b) as u32 % BUCKETS;
        self.add(shared::COUNT + bucket, value);
    }
}

/// Means over an item's skills.
#[derive(Default)]
struct SkillMeans {
    right: f32,
    wrong: f32,
    seen: f32,
    kept: [f32; 2],
}

impl SkillMeans {
    fn add(&mut self, share: f32, state: &SkillState, now: Option<i64>) {
        self.right += share * state.right.ln_1p();
        self.wrong += share * state.wrong.ln_1p();
        self.seen += share * (state.seen as f32).ln_1p();
        if let Some(seconds) = elapsed(state.at, now) {
            let kept = practice_kept(seconds);
            self.kept[0] += share * kept * state.decayed[0];
            self.kept[1] += share * kept * state.decayed[1];
        }
    }
}

/// Weights in front of those of items and skills.
pub(crate) const FIRST_OWN: u32 = shared::COUNT + BUCKETS;
const _: () = assert!(ITEM_WEIGHTS == 1 && SKILL_WEIGHTS == 3 + 7 * Recent::<2>::COUNT);
