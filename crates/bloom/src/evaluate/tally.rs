//! Counts from which the measures follow, of constant size a source.

use super::{DecisionRule, Measures};
use crate::engine::top;

const BINS: usize = 15;

/// Counts over the rows of one source, for both rules: which one holds is known at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    n: u64,
    multi_label: bool,
    top_hits: u64,
    threshold: Decisions,
    argmax: Decisions,
    /// Rows by first label and most probable level.
    confusion: [[u64; 6]; 6],
    calibration: [Bin; BINS],
}

/// Decided levels against labels.
#[derive(Debug, Clone, Copy, Default)]
struct Decisions {
    exact: u64,
    levels: [Outcomes; 6],
}

/// Outcomes of one yes-or-no decision.
#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    true_positives: u64,
    false_positives: u64,
    false_negatives: u64,
    true_negatives: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    confidence: f64,
    hits: u64,
}

impl Tally {
    pub(super) fn add(&mut self, labels: [bool; 6], probabilities: &[f32; 6], decided: [bool; 6]) {
        let top = top(probabilities);
        let first = labels.iter().position(|&label| label).unwrap_or(top);
        let hit = u64::from(labels[top]);
        self.n += 1;
        self.multi_label |= labels.iter().filter(|&&label| label).count() > 1;
        self.top_hits += hit;
        self.threshold.add(labels, decided);
        self.argmax.add(labels, std::array::from_fn(|level| level == top));
        self.confusion[first][top] += 1;
        let confidence = f64::from(probabilities[top]);
        let bin = &mut self.calibration[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.confidence += confidence;
        bin.hits += hit;
    }

    pub(super) fn measures(&self) -> Measures {
        if self.multi_label {
            self.with(DecisionRule::Threshold, &self.threshold, self.threshold.kappa())
        } else {
            self.with(DecisionRule::Argmax, &self.argmax, self.confusion_kappa())
        }
    }

    fn with(&self, rule: DecisionRule, decisions: &Decisions, kappa: f64) -> Measures {
        let n = self.n as f64;
        let per_level_f1 = decisions.levels.map(Outcomes::f1);
        let gap = |bin: &Bin| (bin.confidence - bin.hits as f64).abs();
        Measures {
            n: self.n,
            rule,
            exact_match: decisions.exact as f64 / n,
            top1: self.top_hits as f64 / n,
            macro_f1: per_level_f1.iter().sum::<f64>() / 6.0,
            per_level_f1,
            kappa,
            ece: self.calibration.iter().map(gap).sum::<f64>() / n,
        }
    }

    fn decisions(&self) -> &Decisions {
        if self.multi_label { &self.threshold } else { &self.argmax }
    }

    /// Kappa of one decision among six levels.
    fn confusion_kappa(&self) -> f64 {
        let n = self.n as f64;
        let agreed: u64 = (0..6).map(|level| self.confusion[level][level]).sum();
        let chance = |level: usize| {
            let labelled: u64 = self.confusion[level].iter().sum();
            let decided: u64 = self.confusion.iter().map(|row| row[level]).sum();
            (labelled as f64 / n) * (decided as f64 / n)
        };
        kappa(agreed as f64 / n, (0..6).map(chance).sum())
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.top_hits += other.top_hits;
        self.multi_label |= other.multi_label;
        for (mine, theirs) in self.confusion.iter_mut().zip(&other.confusion) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        for (mine, theirs) in self.calibration.iter_mut().zip(&other.calibration) {
            mine.confidence += theirs.confidence;
            mine.hits += theirs.hits;
        }
    }
}

/// Measures over all sources, each row decided by the rule of its source. Kappa is that of one
/// decision among six if all sources are single-label, else the mean of six.
pub(super) fn overall<'a>(sources: impl Iterator<Item = &'a Tally>) -> Measures {
    let mut sum = Tally::default();
    let mut decisions = Decisions::default();
    let mut single_label = false;
    for tally in sources {
        sum.merge(tally);
        decisions.merge(tally.decisions());
        single_label |= !tally.multi_label;
    }
    match (sum.multi_label, single_label) {
        (true, true) => sum.with(DecisionRule::BySource, &decisions, decisions.kappa()),
        (true, false) => sum.with(DecisionRule::Threshold, &decisions, decisions.kappa()),
        (false, _) => sum.with(DecisionRule::Argmax, &decisions, sum.confusion_kappa()),
    }
}

impl Decisions {
    fn add(&mut self, labels: [bool; 6], decided: [bool; 6]) {
        self.exact += u64::from(labels == decided);
        for (outcomes, decision) in self.levels.iter_mut().zip(decided.into_iter().zip(labels)) {
            match decision {
                (true, true) => outcomes.true_positives += 1,
                (true, false) => outcomes.false_positives += 1,
                (false, true) => outcomes.false_negatives += 1,
                (false, false) => outcomes.true_negatives += 1,
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.exact += other.exact;
        for (mine, theirs) in self.levels.iter_mut().zip(&other.levels) {
            mine.true_positives += theirs.true_positives;
            mine.false_positives += theirs.false_positives;
            mine.false_negatives += theirs.false_negatives;
            mine.true_negatives += theirs.true_negatives;
        }
    }

    /// Mean kappa of the six decisions.
    fn kappa(&self) -> f64 {
        self.levels.iter().map(|level| level.kappa()).sum::<f64>() / 6.0
    }
}

impl Outcomes {
    fn f1(self) -> f64 {
        let errors = self.false_positives + self.false_negatives;
        let denominator = 2 * self.true_positives + errors;
        if denominator == 0 { 0.0 } else { 2.0 * self.true_positives as f64 / denominator as f64 }
    }

    fn kappa(self) -> f64 {
        let agreed = (self.true_positives + self.true_negatives) as f64;
        let n = agreed + (self.false_positives + self.false_negatives) as f64;
        let labelled = (self.true_positives + self.false_negatives) as f64 / n;
        let decided = (self.true_positives + self.false_positives) as f64 / n;
        kappa(agreed / n, labelled * decided + (1.0 - labelled) * (1.0 - decided))
    }
}

fn kappa(observed: f64, chance: f64) -> f64 {
    if chance < 1.0 { (observed - chance) / (1.0 - chance) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities(level: usize, p: f32) -> [f32; 6] {
        std::array::from_fn(|index| if index == level { p } else { 0.1 })
    }

    fn only(level: usize) -> [bool; 6] {
        std::array::from_fn(|index| index == level)
    }

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-6, "{left} is not {right}");
    }

    /// Labels 0, 0, 1, 2; guesses 0, 1, 1, 2.
    fn single_label() -> Tally {
        let mut tally = Tally::default();
        for (label, guess) in [(0, 0), (0, 1), (1, 1), (2, 2)] {
            tally.add(only(label), &probabilities(guess, 0.75), only(guess));
        }
        tally
    }

    #[test]
    fn single_label_measures_are_those_worked_out_by_hand() {
        let measures = single_label().measures();
        assert_eq!((measures.n, measures.rule), (4, DecisionRule::Argmax));
        near(measures.exact_match, 0.75);
        near(measures.top1, 0.75);
        near(measures.per_level_f1[0], 2.0 / 3.0);
        near(measures.per_level_f1[2], 1.0);
        near(measures.macro_f1, (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 6.0);
        // Observed 3/4; chance (2·1 + 1·2 + 1·1) / 16.
        near(measures.kappa, (0.75 - 5.0 / 16.0) / (1.0 - 5.0 / 16.0));
        near(measures.ece, 0.0);
    }

    #[test]
    fn one_row_of_several_labels_changes_the_rule() {
        let mut tally = single_label();
        let both = [true, true, false, false, false, false];
        tally.add(both, &[0.9, 0.6, 0.1, 0.1, 0.1, 0.1], both);
        let measures = tally.measures();
        assert_eq!(measures.rule, DecisionRule::Threshold);
        near(measures.exact_match, 0.8);
        near(measures.top1, 0.8);
        near(measures.per_level_f1[0], 0.8);
        // Level 0: observed 4/5, labelled 3/5, decided 2/5.
        near(tally.threshold.levels[0].kappa(), (0.8 - 0.48) / (1.0 - 0.48));
        near(measures.ece, 0.1 / 5.0);
    }

    #[test]
    fn overall_takes_each_row_by_the_rule_of_its_source() {
        let mut multi = Tally::default();
        let both = [true, true, false, false, false, false];
        multi.add(both, &[0.9, 0.6, 0.1, 0.1, 0.1, 0.1], both);
        let single = single_label();
        let measures = overall([&multi, &single].into_iter());
        assert_eq!((measures.n, measures.rule), (5, DecisionRule::BySource));
        near(measures.exact_match, 0.8);
        assert_eq!(overall([&single].into_iter()), single.measures());
        assert_eq!(overall([&multi].into_iter()), multi.measures());
    }
}
