//! Off-policy evaluation: what another policy would have earned, estimated from the log of the one
//! that served.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A logged choice, as two policies and a reward model see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// Probability with which the serving policy chose the item, (0, 1].
    pub propensity: f64,
    /// Probability with which the other policy would have chosen it, [0, 1].
    pub target: f64,
    /// What the choice earned.
    pub reward: f64,
    /// What the reward model predicts for the choice.
    pub predicted: f64,
    /// What the reward model predicts for the other policy, averaged over its choices.
    pub predicted_target: f64,
}

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Value {
    /// The estimate.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What the log says of the other policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyReport {
    /// Choices used.
    pub n: u64,
    /// Choices passed over: a propensity outside (0, 1] or a number that is not finite.
    pub skipped: u64,
    /// Mean reward of the serving policy.
    pub logged: Option<Value>,
    /// Inverse propensity weighting (Horvitz & Thompson, 1952).
    pub inverse_propensity: Option<Value>,
    /// Doubly robust (Dudík, Langford & Li, 2011).
    pub doubly_robust: Option<Value>,
    /// Choices' worth of information that the weights leave (Kish, 1965).
    pub effective_n: f64,
}

/// Weights above this are cut off, which bounds the variance at the price of some bias.
pub const LARGEST_WEIGHT: f64 = 100.0;
const Z_95: f64 = 1.959_964;

/// Estimates the value of the other policy. Intervals take the choices as independent.
pub fn evaluate(log: impl IntoIterator<Item = Logged>) -> PolicyReport {
    let (mut logged, mut inverse, mut robust) = <(Mean, Mean, Mean)>::default();
    let (mut skipped, mut weights, mut squares) = (0, 0.0, 0.0);
    for row in log {
        if !row.is_usable() {
            skipped += 1;
            continue;
        }
        let weight = (row.target / row.propensity).min(LARGEST_WEIGHT);
        weights += weight;
        squares += weight * weight;
        logged.add(row.reward);
        inverse.add(weight * row.reward);
        robust.add(row.predicted_target + weight * (row.reward - row.predicted));
    }
    PolicyReport {
        n: logged.n,
        skipped,
        logged: logged.value(),
        inverse_propensity: inverse.value(),
        doubly_robust: robust.value(),
        effective_n: if squares > 0.0 { weights * weights / squares } else { 0.0 },
    }
}

impl Logged {
    fn is_usable(&self) -> bool {
        self.propensity > 0.0
            && self.propensity <= 1.0
            && (0.0..=1.0).contains(&self.target)
            && [self.reward, self.predicted, self.predicted_target].iter().all(|x| x.is_finite())
    }
}

/// What the choices of one policy earned while it served.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    reward: Mean,
    predicted: Mean,
}

/// What a policy earned while it served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TallyReport {
    /// Choices.
    pub n: u64,
    /// Mean reward.
    pub reward: Value,
    /// Mean of what was predicted for the choices.
    pub predicted: Value,
}

impl Tally {
    /// Counts a choice; numbers outside 0 to 1 are passed over.
    pub fn add(&mut self, reward: f64, predicted: f64) {
        if [reward, predicted].iter().all(|x| (0.0..=1.0).contains(x)) {
            self.reward.add(reward);
            self.predicted.add(predicted);
        }
    }

    /// The means with their intervals; `None` before the first choice.
    #[must_use]
    pub fn report(&self) -> Option<TallyReport> {
        let (reward, predicted) = (self.reward.share()?, self.predicted.value()?);
        Some(TallyReport { n: self.reward.n, reward, predicted })
    }

    /// Difference of the mean rewards, this one's less the other's, with its 95 % interval (Newcombe,
    /// 1998, from both score intervals).
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Value> {
        let (this, that) = (self.reward.share()?, other.reward.share()?);
        let mean = this.mean - that.mean;
        let below = (this.mean - this.low).hypot(that.high - that.mean);
        let above = (this.high - this.mean).hypot(that.mean - that.low);
        Some(Value { mean, low: mean - below, high: mean + above })
    }
}

/// Mean and variance as numbers come (Welford, 1962).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Mean {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Mean {
    fn add(&mut self, x: f64) {
        self.n += 1;
        let off = x - self.mean;
        self.mean += off / self.n as f64;
        self.squares += off * (x - self.mean);
    }

    fn value(&self) -> Option<Value> {
        let n = self.n as f64;
        let half = Z_95 * (self.squares / (n - 1.0).max(1.0) / n).sqrt();
        let Self { mean, .. } = *self;
        (self.n > 0).then_some(Value { mean, low: mean - half, high: mean + half })
    }

    /// The same of numbers within 0 to 1, with the score interval (Wilson, 1927): it knows how little
    /// a few equal numbers tell, and is too wide rather than too narrow where many lie in between.
    fn share(&self) -> Option<Value> {
        let Self { n, mean, .. } = *self;
        let step = Z_95 * Z_95 / n as f64;
        let middle = (mean + step / 2.0) / (1.0 + step);
        let half = (step * (mean * (1.0 - mean) + step / 4.0)).sqrt() / (1.0 + step);
        let (low, high) = ((middle - half).max(0.0).min(mean), (middle + half).min(1.0).max(mean));
        (n > 0).then_some(Value { mean, low, high })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Two items that earn .3 and .8; served by chance, the other policy prefers the second.
    fn log(n: usize, predicted: [f64; 2]) -> Vec<Logged> {
        let (serving, target, earns) = ([0.7, 0.3], [0.1, 0.9], [0.3, 0.8]);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        (0..n)
            .map(|_| {
                let item = usize::from(rng.random::<f64>() > serving[0]);
                Logged {
                    propensity: serving[item],
                    target: target[item],
                    reward: f64::from(u8::from(rng.random::<f64>() < earns[item])),
                    predicted: predicted[item],
                    predicted_target: target[0] * predicted[0] + target[1] * predicted[1],
                }
            })
            .collect()
    }

    #[test]
    fn both_estimates_find_the_value_and_the_robust_one_is_narrower() {
        let truth = 0.1 * 0.3 + 0.9 * 0.8;
        let report = evaluate(log(20_000, [0.3, 0.8]));
        let [inverse, robust] =
            [report.inverse_propensity, report.doubly_robust].map(Option::unwrap);
        for value in [inverse, robust] {
            assert!(value.low < truth && truth < value.high, "{value:?}");
        }
        assert!(robust.high - robust.low < inverse.high - inverse.low);
        assert!(report.logged.unwrap().high < truth && report.effective_n < 20_000.0);
        let misled = evaluate(log(20_000, [0.9, 0.1])).doubly_robust.unwrap();
        assert!(misled.low < truth && truth < misled.high, "{misled:?}");
    }

    #[test]
    fn the_serving_policy_itself_has_its_own_mean() {
        let same =
            log(50, [0.0; 2]).into_iter().map(|row| Logged { target: row.propensity, ..row });
        let report = evaluate(same);
        assert_eq!(report.inverse_propensity, report.logged);
        assert!((report.effective_n - 50.0).abs() < 1e-9);
    }

    fn tally(right: usize, n: usize) -> Tally {
        let mut tally = Tally::default();
        (0..n).for_each(|i| tally.add(f64::from(u8::from(i < right)), 0.5));
        tally
    }

    #[test]
    fn intervals_of_credit_are_the_published_ones() {
        let near = |found: Value, low: f64, high: f64| {
            let is_near = (found.low - low).abs() < 5e-4 && (found.high - high).abs() < 5e-4;
            assert!(is_near, "{found:?}, not {low} to {high}");
        };
        // Newcombe (1998): methods 3 for one share and 10 for a difference.
        near(tally(81, 263).report().unwrap().reward, 0.2553, 0.3662);
        near(tally(0, 20).report().unwrap().reward, 0.0, 0.1611);
        near(tally(1, 1).report().unwrap().reward, 0.2065, 1.0);
        near(tally(56, 70).difference(&tally(48, 80)).unwrap(), 0.0524, 0.3339);
        for n in 1..100 {
            assert_eq!(tally(n, n).report().unwrap().reward.high, 1.0, "{n}");
            assert_eq!(tally(0, n).report().unwrap().reward.low, 0.0, "{n}");
        }
        assert!(tally(0, 0).report().is_none() && tally(1, 1).difference(&tally(0, 0)).is_none());
    }

    #[test]
    fn impossible_rows_are_counted_and_nothing_gives_nothing() {
        let row = log(1, [0.0; 2])[0];
        let bad = [
            Logged { propensity: 0.0, ..row },
            Logged { reward: f64::NAN, ..row },
            Logged { target: 1.5, ..row },
        ];
        let report = evaluate(bad);
        assert_eq!((report.n, report.skipped, report.doubly_robust), (0, 3, None));
    }
}
