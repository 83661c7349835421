//! Computerised adaptive testing: ability by expected a posteriori, items by maximum information,
//! exposure capped.
//!
//! Items follow the three-parameter logistic model p(θ) = c + (1 − c) σ(a (θ − b)), θ ~ N(0, 1).

mod ability;
mod bank;
mod exposure;

pub use ability::{Ability, Estimate};
pub use bank::Bank;
pub use exposure::Exposure;

use crate::gaussian::sigmoid;

/// An item's response curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Discrimination a.
    pub discrimination: f64,
    /// Difficulty b in logits.
    pub difficulty: f64,
    /// Guess floor c, [0, 1).
    pub guess: f64,
}

impl Parameters {
    /// Probability of a right answer at ability `theta`.
    #[must_use]
    pub fn probability(&self, theta: f64) -> f64 {
        let knows = sigmoid(self.discrimination * (theta - self.difficulty));
        self.guess + (1.0 - self.guess) * knows
    }

    /// Fisher information at ability `theta` (Birnbaum, 1968).
    #[must_use]
    pub fn information(&self, theta: f64) -> f64 {
        let knows = sigmoid(self.discrimination * (theta - self.difficulty));
        let p = self.guess + (1.0 - self.guess) * knows;
        self.discrimination.powi(2) * knows * knows * (1.0 - p) / p.max(f64::MIN_POSITIVE)
    }
}
