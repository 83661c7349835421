//! How an item does, for its author: which options are chosen by whom, whether the key looks wrong,
//! whether its difficulty drifts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answers to an item, counted as they come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    all: Moments,
    options: Vec<Moments>,
    residual: f64,
    residual_variance: f64,
}

/// Number, sum and sum of squares of abilities.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Moments {
    n: u32,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, ability: f64) {
        self.n += 1;
        self.sum += ability;
        self.squares += ability * ability;
    }
}

/// How an option does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OptionReport {
    /// Share of the answers that chose it, 0 to 1.
    pub share: f64,
    /// Correlation of choosing it with ability, −1 to 1; absent where nobody or everybody chose it
    /// or all abilities are equal.
    pub point_biserial: Option<f64>,
    /// For a distractor: whether at least one in twenty chose it, the weaker rather than the
    /// stronger learners (Haladyna & Downing, 1993).
    pub works: Option<bool>,
}

/// How an item does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemReport {
    /// Answers counted.
    pub answers: u32,
    /// The options, in the author's order.
    pub options: Vec<OptionReport>,
    /// The distractor that stronger learners choose rather than the key, clearly more than chance
    /// explains: the key looks wrong.
    pub key_suspect: Option<u8>,
    /// Standard deviations by which recent answers are better (positive) or worse than predicted;
    /// beyond ±3 the item has drifted.
    pub drift: f64,
}

/// Weight that a past answer keeps with each new one in the drift, a window of some 100 answers.
const KEPT: f64 = 0.99;
/// Fewer answers accuse no key.
const ENOUGH: u32 = 30;
/// One-sided 99 % of the standard normal distribution.
const CLEARLY: f64 = 2.326;
/// Share of the answers that a working distractor gets at least.
const WORKING_SHARE: f64 = 0.05;

impl Counts {
    /// Counts an answer: the options chosen, in the author's order; the learner's ability before it;
    /// the predicted probability and whether it was right. Numbers that are not finite are passed
    /// over.
    pub fn add(&mut self, chosen: &[u8], ability: f64, predicted: f64, right: bool) {
        if !ability.is_finite() || !(0.0..=1.0).contains(&predicted) {
            return;
        }
        self.all.add(ability);
        for &option in chosen {
            let at = usize::from(option);
            if self.options.len() <= at {
                self.options.resize(at + 1, Moments::default());
            }
            self.options[at].add(ability);
        }
        self.residual = KEPT * self.residual + f64::from(u8::from(right)) - predicted;
        self.residual_variance =
            KEPT * KEPT * self.residual_variance + predicted * (1.0 - predicted);
    }

    /// What the counts say of an item whose options are keys where `key` is true.
    #[must_use]
    pub fn report(&self, key: &[bool]) -> ItemReport {
        let options: Vec<OptionReport> = key
            .iter()
            .enumerate()
            .map(|(at, &is_key)| self.option(self.options.get(at).copied(), is_key))
            .collect();
        ItemReport {
            answers: self.all.n,
            key_suspect: self.suspect(key, &options),
            options,
            drift: self.residual / self.residual_variance.max(1e-9).sqrt(),
        }
    }

    fn option(&self, chosen: Option<Moments>, is_key: bool) -> OptionReport {
        let chosen = chosen.unwrap_or_default();
        let share = f64::from(chosen.n) / f64::from(self.all.n.max(1));
        let point_biserial = self.point_biserial(chosen);
        let works =
            (!is_key).then(|| share >= WORKING_SHARE && point_biserial.is_some_and(|r| r < 0.0));
        OptionReport { share, point_biserial, works }
    }

    /// r = (M₁ − M₀) / s · √(p (1 − p)), with s over all answers.
    fn point_biserial(&self, chosen: Moments) -> Option<f64> {
        let (n, n1) = (f64::from(self.all.n), f64::from(chosen.n));
        let variance = self.all.squares / n - (self.all.sum / n).powi(2);
        if n1 == 0.0 || n1 == n || variance.is_nan() || variance <= 1e-12 {
            return None;
        }
        let (m1, m0) = (chosen.sum / n1, (self.all.sum - chosen.sum) / (n - n1));
        let p = n1 / n;
        Some(((m1 - m0) / variance.sqrt() * (p * (1.0 - p)).sqrt()).clamp(-1.0, 1.0))
    }

    /// Compares correlations by Fisher's z.
    fn suspect(&self, key: &[bool], options: &[OptionReport]) -> Option<u8> {
        let at = key.iter().position(|&is_key| is_key)?;
        if self.all.n < ENOUGH {
            return None;
        }
        let z = |r: f64| r.clamp(-0.999, 0.999).atanh();
        let of_key = z(options[at].point_biserial.unwrap_or(0.0));
        let margin = CLEARLY * (2.0 / f64::from(self.all.n - 3)).sqrt();
        (0..)
            .zip(key.iter().zip(options))
            .filter(|(_, (is_key, _))| !**is_key)
            .filter_map(|(option, (_, report))| Some((option, report.point_biserial?)))
            .filter(|&(_, r)| r > 0.0 && z(r) - of_key > margin)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(option, _)| option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 answers: strong learners choose `strong`, weak ones 0 or 2 by turns.
    fn counts(strong: u8) -> Counts {
        let mut counts = Counts::default();
        for n in 0..90_u8 {
            let ability = (f64::from(n) - 45.0) / 30.0;
            let chosen = if n > 50 { strong } else { 2 * (n % 2) };
            counts.add(&[chosen], ability, 0.5, chosen == 1);
        }
        counts
    }

    #[test]
    fn a_sound_key_attracts_the_strong() {
        let report = counts(1).report(&[false, true, false, false]);
        assert_eq!((report.answers, report.key_suspect), (90, None));
        assert!(report.options[1].point_biserial.unwrap() > 0.5);
        assert_eq!(report.works(), [Some(true), None, Some(true), Some(false)]);
    }

    impl ItemReport {
        fn works(&self) -> Vec<Option<bool>> {
            self.options.iter().map(|o| o.works).collect()
        }
    }

    #[test]
    fn a_key_that_only_the_weak_choose_is_suspect() {
        let report = counts(1).report(&[true, false, false]);
        assert_eq!(report.key_suspect, Some(1));
        assert_eq!(report.works(), [None, Some(false), Some(true)]);
    }

    #[test]
    fn the_correlation_is_pearsons() {
        let mut counts = Counts::default();
        for (ability, chosen) in [(1.0, 1), (2.0, 0), (3.0, 1), (5.0, 1)] {
            counts.add(&[chosen], ability, 0.5, true);
        }
        // x = (1, 2, 3, 5), y = (1, 0, 1, 1)
        let expected = 0.75 * (3.0 - 2.0) * 0.25 / (2.1875_f64 * 0.1875).sqrt();
        let r = counts.report(&[false, true]).options[1].point_biserial.unwrap();
        assert!((r - expected).abs() < 1e-12, "{r} {expected}");
    }

    #[test]
    fn drift_shows_and_nothing_says_nothing() {
        let empty = Counts::default().report(&[true, false]);
        assert_eq!((empty.drift, empty.options[0].point_biserial), (0.0, None));
        let mut counts = Counts::default();
        for n in 0..60 {
            counts.add(&[0], 0.0, 0.8, n % 3 == 0);
        }
        counts.add(&[0], f64::NAN, 0.5, true);
        assert!(counts.report(&[true]).drift < -3.0);
        assert_eq!(counts.report(&[true]).answers, 60);
    }
}
