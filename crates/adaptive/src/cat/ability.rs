//! The posterior of an examinee's ability.

use super::Parameters;

/// Points of the grid, from −4 to 4 in steps of 0.1.
const POINTS: usize = 81;

fn theta(point: usize) -> f64 {
    (point as f64 - 40.0) / 10.0
}

/// The posterior of an ability on a grid of 81 points, prior N(0, 1), by the trapezoid rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Ability {
    density: [f64; POINTS],
}

/// Mean and standard deviation of a posterior (EAP; Bock & Mislevy, 1982).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Expected ability.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

impl Default for Ability {
    fn default() -> Self {
        Self::new()
    }
}

impl Ability {
    /// The prior.
    #[must_use]
    pub fn new() -> Self {
        let mut density: [f64; POINTS] = std::array::from_fn(|i| (-0.5 * theta(i).powi(2)).exp());
        density[0] /= 2.0;
        density[POINTS - 1] /= 2.0;
        Self { density }.normalised()
    }

    fn normalised(mut self) -> Self {
        let sum: f64 = self.density.iter().sum();
        for d in &mut self.density {
            *d /= sum;
        }
        self
    }

    /// The posterior after an answer. An answer that the curve makes impossible changes nothing.
    #[must_use]
    pub fn after(&self, item: &Parameters, correct: bool) -> Self {
        let mut next = self.clone();
        for (i, density) in next.density.iter_mut().enumerate() {
            let p = item.probability(theta(i));
            *density *= if correct { p } else { 1.0 - p };
        }
        let sum: f64 = next.density.iter().sum();
        if sum > 0.0 && sum.is_finite() { next.normalised() } else { self.clone() }
    }

    /// Mean and standard error.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let moment = |k: i32| -> f64 {
            self.density.iter().enumerate().map(|(i, d)| d * theta(i).powi(k)).sum()
        };
        let mean = moment(1);
        Estimate { mean, error: (moment(2) - mean * mean).max(0.0).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_is_standard_normal() {
        let Estimate { mean, error } = Ability::new().estimate();
        assert!(mean.abs() < 1e-12 && (error - 1.0).abs() < 1e-3);
    }

    #[test]
    fn answers_move_the_mean_and_narrow_the_posterior() {
        let item = Parameters { discrimination: 1.3, difficulty: 0.4, guess: 0.2 };
        let [right, wrong] = [true, false].map(|y| Ability::new().after(&item, y).estimate());
        assert!(wrong.mean < 0.0 && 0.0 < right.mean);
        assert!(right.error < 1.0 && wrong.error < 1.0);
    }

    #[test]
    fn an_impossible_answer_changes_nothing() {
        let sure = Parameters { discrimination: f64::NAN, difficulty: 0.0, guess: 0.0 };
        assert_eq!(Ability::new().after(&sure, false), Ability::new());
    }
}
