//! Gaussian beliefs and the moment-matching step.

use serde::{Deserialize, Serialize};

/// A Gaussian belief over one number on the logit scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// Mean.
    pub mean: f32,
    /// Variance, positive.
    pub variance: f32,
}

impl Gaussian {
    /// The belief N(mean, variance).
    #[must_use]
    pub const fn new(mean: f32, variance: f32) -> Self {
        Self { mean, variance }
    }

    /// The belief after its coefficient-`c` share of an observed sum moved by `step`.
    #[must_use]
    pub(crate) fn absorb(self, c: f64, step: Step) -> Self {
        let gain = f64::from(self.variance) * c;
        let mean = f64::from(self.mean) + gain * step.shift;
        let variance = f64::from(self.variance) - gain * gain * step.shrink;
        Self::new(mean as f32, variance.max(MIN_VARIANCE) as f32)
    }

    /// Whether both numbers can be a belief's.
    pub(crate) fn is_valid(self) -> bool {
        self.mean.is_finite() && self.variance.is_finite() && self.variance >= 0.0
    }
}

const MIN_VARIANCE: f64 = 1e-4;

/// How an observation moves the belief over a sum of Gaussians: the sum's mean by
/// `variance · shift`, its variance by `−variance² · shrink`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) shift: f64,
    pub(crate) shrink: f64,
}

/// The logistic function.
#[inline]
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Its inverse, for p kept within (10⁻⁶, 1 − 10⁻⁶).
#[inline]
pub(crate) fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

/// Nodes and weights of the 7-point Gauss–Hermite rule for the standard normal distribution
/// (Abramowitz & Stegun, table 25.10, rescaled).
const NODES: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 5.482_688_559_722_184e-4),
    (-2.366_759_410_734_541, 3.075_712_396_758_645e-2),
    (-1.154_405_394_739_968, 2.401_231_786_050_127e-1),
    (0.0, 4.571_428_571_428_571e-1),
    (1.154_405_394_739_968, 2.401_231_786_050_127e-1),
    (2.366_759_410_734_541, 3.075_712_396_758_645e-2),
    (3.750_439_717_725_742, 5.482_688_559_722_184e-4),
];

/// The expectation of σ(η) under η ~ N(mean, variance).
pub(crate) fn expected_sigmoid(mean: f64, variance: f64) -> f64 {
    let sd = variance.sqrt();
    NODES.iter().map(|&(x, w)| w * sigmoid(mean + sd * x)).sum()
}

/// Matches the first two moments of the posterior of η ~ N(mean, variance) after an answer worth
/// `credit` (0 to 1), with likelihood p^credit (1 − p)^(1 − credit), p = guess + (1 − guess) σ(η).
pub(crate) fn observe(mean: f64, variance: f64, guess: f64, credit: f64) -> Step {
    let sd = variance.sqrt();
    let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
    for &(x, w) in &NODES {
        let p = guess + (1.0 - guess) * sigmoid(mean + sd * x);
        let likelihood = if credit >= 1.0 {
            p
        } else if credit <= 0.0 {
            1.0 - p
        } else {
            p.powf(credit) * (1.0 - p).powf(1.0 - credit)
        };
        let mass = w * likelihood;
        sum += mass;
        first += mass * x;
        second += mass * x * x;
    }
    if sum < 1e-12 || variance <= 0.0 {
        return Step { shift: 0.0, shrink: 0.0 };
    }
    let moved = first / sum;
    let spread = second / sum - moved * moved;
    Step { shift: moved / sd, shrink: (1.0 - spread) / variance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_integrates_polynomials() {
        let moment = |k: i32| NODES.iter().map(|&(x, w)| w * x.powi(k)).sum::<f64>();
        for (k, expected) in [(0, 1.0), (1, 0.0), (2, 1.0), (4, 3.0), (6, 15.0), (12, 10_395.0)] {
            assert!((moment(k) - expected).abs() < 1e-8 * f64::max(1.0, expected), "{k}");
        }
    }

    /// Against the trapezoid rule on a fine grid.
    #[test]
    fn moments_match_numerical_integration() {
        for (mean, variance, guess, credit) in [
            (0.3, 0.8, 0.0, 1.0),
            (-1.0, 0.5, 0.25, 0.0),
            (0.7, 1.0, 0.2, 0.5),
            (2.0, 0.3, 0.5, 1.0),
        ] {
            let (mut s0, mut s1, mut s2) = (0.0, 0.0, 0.0);
            for i in -8000..=8000 {
                let x = f64::from(i) / 1000.0;
                let p: f64 = guess + (1.0 - guess) * sigmoid(mean + f64::sqrt(variance) * x);
                let m = (-0.5 * x * x).exp() * p.powf(credit) * (1.0 - p).powf(1.0 - credit);
                (s0, s1, s2) = (s0 + m, s1 + m * x, s2 + m * x * x);
            }
            let (m, v) = (s1 / s0, s2 / s0 - (s1 / s0).powi(2));
            let step = observe(mean, variance, guess, credit);
            assert!((step.shift * variance.sqrt() - m).abs() < 2e-3);
            assert!((1.0 - step.shrink * variance - v).abs() < 2e-3);
        }
    }

    #[test]
    fn a_right_answer_raises_and_a_wrong_one_lowers() {
        let prior = Gaussian::new(0.0, 1.0);
        let after = |credit| prior.absorb(1.0, observe(0.0, 1.0, 0.25, credit));
        assert!(after(1.0).mean > 0.0 && after(0.0).mean < 0.0);
        assert!(after(1.0).variance < 1.0 && after(0.0).variance < 1.0);
    }
}
