//! Measures of probabilistic predictions, in memory that does not grow with their number.

/// Buckets by probability for the AUC: a millionth each, so that ties made by rounding cannot
/// move it by more than that.
const BUCKETS: usize = 1 << 20;
/// Bins of the expected calibration error (Naeini, Cooper & Hauskrecht, 2015).
const BINS: usize = 20;

/// Counts of predictions by probability and outcome.
pub(super) struct Metrics {
    counts: Vec<[u32; 2]>,
    bins: [Bin; BINS],
    n: u64,
    log_loss: f64,
    squares: f64,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    predicted: f64,
    right: f64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![[0; 2]; BUCKETS],
            bins: [Bin::default(); BINS],
            n: 0,
            log_loss: 0.0,
            squares: 0.0,
        }
    }

    /// Takes in a probability within (0, 1) and what came of it.
    pub(super) fn add(&mut self, probability: f64, right: bool) {
        let bucket = ((probability * BUCKETS as f64) as usize).min(BUCKETS - 1);
        self.counts[bucket][usize::from(right)] += 1;
        let bin = &mut self.bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        let y = f64::from(u8::from(right));
        bin.predicted += probability;
        bin.right += y;
        self.n += 1;
        self.log_loss -= if right { probability.ln() } else { (1.0 - probability).ln() };
        self.squares += (probability - y).powi(2);
    }

    pub(super) fn count(&self) -> u64 {
        self.n
    }

    /// Area under the ROC curve; `None` unless both outcomes occurred.
    pub(super) fn auc(&self) -> Option<f64> {
        let (mut wrong, mut right, mut wins) = (0.0, 0.0, 0.0);
        for &[w, r] in &self.counts {
            let (w, r) = (f64::from(w), f64::from(r));
            wins += r * (wrong + w / 2.0);
            wrong += w;
            right += r;
        }
        (wrong > 0.0 && right > 0.0).then(|| wins / (wrong * right))
    }

    /// Mean negative logarithm of the probability of what happened.
    pub(super) fn log_loss(&self) -> Option<f64> {
        self.mean(self.log_loss)
    }

    /// Root mean squared error.
    pub(super) fn rmse(&self) -> Option<f64> {
        self.mean(self.squares).map(f64::sqrt)
    }

    /// Expected calibration error over bins of equal width.
    pub(super) fn ece(&self) -> Option<f64> {
        self.mean(self.bins.iter().map(|bin| (bin.predicted - bin.right).abs()).sum())
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.n > 0).then(|| sum / self.n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(rows: &[(f64, bool)]) -> Metrics {
        let mut metrics = Metrics::new();
        for &(p, y) in rows {
            metrics.add(p, y);
        }
        metrics
    }

    #[test]
    fn known_values() {
        let m = metrics(&[(0.9, true), (0.6, false), (0.4, true), (0.1, false)]);
        assert_eq!(m.auc(), Some(0.75));
        let expected = -(0.9_f64.ln() + 0.4_f64.ln() + 0.4_f64.ln() + 0.9_f64.ln()) / 4.0;
        assert!((m.log_loss().unwrap() - expected).abs() < 1e-12);
        assert!((m.rmse().unwrap() - (0.74_f64 / 4.0).sqrt()).abs() < 1e-12);
        assert!((m.ece().unwrap() - (0.1 + 0.6 + 0.6 + 0.1) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_and_one_class_has_no_auc() {
        assert_eq!(metrics(&[(0.5, true), (0.5, false)]).auc(), Some(0.5));
        assert_eq!(metrics(&[(0.5, true)]).auc(), None);
        assert_eq!(Metrics::new().log_loss(), None);
    }
}
