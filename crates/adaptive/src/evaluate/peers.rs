//! The models that ours is measured against, on the same rows in the same run.

use crate::{
    Gaussian, Item, ItemKey, SkillKey,
    gaussian::sigmoid,
    keys::{KeyMap, mix},
    model::skills_of,
};

/// A model that predicts an answer, then learns from it.
pub(super) trait Peer {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// The probability of a right answer, told before learning what it was.
    fn observe(&mut self, learner: u64, item: &Item, right: bool) -> f64;
}

/// All of them.
pub(super) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::<ItemMean>::default(),
        Box::<Elo>::default(),
        Box::<TwoParameters>::default(),
        Box::<BestLr>::default(),
    ]
}

fn worth(right: bool) -> f64 {
    f64::from(u8::from(right))
}

/// The share of right answers to the item, shrunk to that of all by five answers.
#[derive(Default)]
struct ItemMean {
    items: KeyMap<ItemKey, [f64; 2]>,
    all: [f64; 2],
}

impl Peer for ItemMean {
    fn name(&self) -> &'static str {
        "item_mean"
    }

    fn observe(&mut self, _: u64, item: &Item, right: bool) -> f64 {
        let overall = (self.all[0] + 1.0) / (self.all[1] + 2.0);
        let [sum, count] = self.items.entry(item.key).or_default();
        let p = (*sum + 5.0 * overall) / (*count + 5.0);
        for (total, x) in [(sum, worth(right)), (count, 1.0)] {
            *total += x;
        }
        self.all[0] += worth(right);
        self.all[1] += 1.0;
        p
    }
}

/// Elo with a step of 1 / (1 + 0.05 n) (Pelánek, 2016).
#[derive(Default)]
struct Elo {
    items: KeyMap<ItemKey, [f64; 2]>,
    learners: KeyMap<u64, [f64; 2]>,
}

impl Peer for Elo {
    fn name(&self) -> &'static str {
        "elo"
    }

    fn observe(&mut self, learner: u64, item: &Item, right: bool) -> f64 {
        let [difficulty, seen] = self.items.entry(item.key).or_default();
        let [ability, given] = self.learners.entry(learner).or_default();
        let p = sigmoid(*ability - *difficulty);
        let error = worth(right) - p;
        *difficulty -= error / (1.0 + 0.05 * *seen);
        *ability += error / (1.0 + 0.05 * *given);
        *seen += 1.0;
        *given += 1.0;
        p
    }
}

/// The two-parameter logistic model, diagonal Gaussian beliefs moved by each answer.
struct TwoParameters {
    items: KeyMap<ItemKey, (Gaussian, Gaussian)>,
    learners: KeyMap<u64, Gaussian>,
    intercept: Gaussian,
}

impl Default for TwoParameters {
    fn default() -> Self {
        Self {
            items: KeyMap::default(),
            learners: KeyMap::default(),
            intercept: Gaussian::new(0.0, 4.0),
        }
    }
}

impl Peer for TwoParameters {
    fn name(&self) -> &'static str {
        "two_parameters"
    }

    fn observe(&mut self, learner: u64, item: &Item, right: bool) -> f64 {
        let prior = (Gaussian::new(0.0, 1.0), Gaussian::new(0.0, 0.05));
        let (difficulty, log_slope) = self.items.entry(item.key).or_insert(prior);
        let ability = self.learners.entry(learner).or_insert(Gaussian::new(0.0, 0.8));
        let slope = f64::from(log_slope.mean).exp();
        let mean = slope * f64::from(ability.mean - difficulty.mean + self.intercept.mean);
        let variance = slope * slope * f64::from(ability.variance + 0.01 + difficulty.variance);
        let p = sigmoid(mean / (1.0 + std::f64::consts::FRAC_PI_8 * variance).sqrt());
        let curvature = (sigmoid(mean) * (1.0 - sigmoid(mean))).max(0.02);
        let spread = 1.0 + curvature * variance;
        let error = worth(right) - p;
        let moved = |belief: Gaussian, c: f64| {
            let gain = f64::from(belief.variance) * c;
            let shrunk = f64::from(belief.variance) - gain * gain * curvature / spread;
            let shifted = f64::from(belief.mean) + gain * error / spread;
            Gaussian::new(shifted as f32, shrunk.max(1e-4) as f32)
        };
        ability.variance += 0.01;
        *log_slope = moved(*log_slope, mean);
        log_slope.mean = log_slope.mean.clamp(-1.2, 1.2);
        *difficulty = moved(*difficulty, -slope);
        *ability = moved(*ability, slope);
        self.intercept = moved(self.intercept, slope);
        p
    }
}

/// Best-LR: logistic regression on item, skills, and counts of right and wrong answers, overall
/// and by skill (Gervet et al., 2020), learned online by AdaGrad.
#[derive(Default)]
struct BestLr {
    weights: KeyMap<u64, [f64; 2]>,
    counts: KeyMap<u64, [f64; 2]>,
}

impl BestLr {
    fn features(&self, learner: u64, item: &Item) -> Vec<(u64, f64)> {
        let mut features = vec![(0, 1.0), (mix(item.key.0 ^ 1), 1.0)];
        let [right, wrong] = self.count(learner);
        features.extend([(1, right.ln_1p()), (2, wrong.ln_1p())]);
        for skill in skills_of(item) {
            let [right, wrong] = self.count(of_skill(learner, *skill));
            features.push((mix(skill.0 ^ 3), 1.0));
            features.push((mix(skill.0 ^ 4), right.ln_1p()));
            features.push((mix(skill.0 ^ 5), wrong.ln_1p()));
        }
        features
    }

    fn count(&self, whose: u64) -> [f64; 2] {
        self.counts.get(&whose).copied().unwrap_or_default()
    }
}

fn of_skill(learner: u64, skill: SkillKey) -> u64 {
    mix(learner ^ mix(skill.0))
}

impl Peer for BestLr {
    fn name(&self) -> &'static str {
        "best_lr"
    }

    fn observe(&mut self, learner: u64, item: &Item, right: bool) -> f64 {
        let features = self.features(learner, item);
        let weight = |at: &u64| self.weights.get(at).map_or(0.0, |w| w[0]);
        let p = sigmoid(features.iter().map(|(at, x)| weight(at) * x).sum());
        let error = worth(right) - p;
        for (at, x) in features {
            let [weight, squares] = self.weights.entry(at).or_default();
            let gradient = 1e-6 * *weight - error * x;
            *squares += gradient * gradient;
            *weight -= 0.1 * gradient / (1e-3 + *squares).sqrt();
        }
        let met = skills_of(item).iter().map(|&skill| of_skill(learner, skill));
        for whose in met.chain([learner]) {
            self.counts.entry(whose).or_default()[usize::from(!right)] += 1.0;
        }
        p
    }
}
