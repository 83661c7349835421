//! The learner model on a response log: predict, then learn, row by row.

use std::{collections::BTreeMap, io::Read, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    log::{Event, Log, Row},
    metrics::Metrics,
    peers::{self, Peer},
};
use crate::{Error, Fold, keys::KeyMap};

/// What a log measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveReport {
    /// Answers scored.
    pub rows_scored: u64,
    /// Rows that could not be used and were passed over.
    pub rows_skipped: u64,
    /// Area under the ROC curve; absent unless both outcomes occurred.
    pub auc: Option<f64>,
    /// Mean log-loss in nats.
    pub log_loss: Option<f64>,
    /// Root mean squared error.
    pub rmse: Option<f64>,
    /// Expected calibration error, 20 bins of equal width.
    pub ece: Option<f64>,
    /// AUC over the first ten answers of each learner.
    pub auc_first10: Option<f64>,
    /// Mean nanoseconds of predicting and learning from a row.
    pub ns_per_step: Option<f64>,
    /// Mean size of a learner's encoded state.
    pub state_bytes_mean: Option<f64>,
    /// The same measures of simpler models on the same rows, by name; empty unless wished.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<String, PeerReport>,
}

/// What a log measured of a simpler model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Area under the ROC curve; absent unless both outcomes occurred.
    pub auc: Option<f64>,
    /// Mean log-loss in nats.
    pub log_loss: Option<f64>,
    /// Expected calibration error, 20 bins of equal width.
    pub ece: Option<f64>,
}

/// How a log is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What to do with a row that cannot be used.
    pub bad_rows: BadRows,
    /// Whether simpler models are measured on the same rows.
    pub peers: bool,
}

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// Stop with an error that names the line.
    #[default]
    Refuse,
    /// Pass over it and count it.
    Skip,
}

/// Measures the learner model on `log`, in file order, after learning from the rows of `train`.
/// `elapsed` gives the time since some fixed moment.
///
/// Memory grows with learners, items and skills, not with rows.
///
/// # Errors
/// When a file cannot be read, lacks the columns `learner` or `correct`, or holds a bad row and
/// `bad_rows` refuses it.
pub fn adaptive(
    log: impl Read,
    train: Option<impl Read>,
    options: Options,
    elapsed: impl Fn() -> Duration,
) -> Result<AdaptiveReport, Error> {
    let mut run = Run::new(options.bad_rows);
    let mut peers = Peers::new(options.peers);
    if let Some(train) = train {
        run.pass(Log::new(train)?, &elapsed, &mut |row, scored| peers.learn(row, scored))?;
        peers.restart_measures();
        run.fold = Fold::new(run.fold.model().clone());
        run.restart_counts();
    }
    let (mut all, mut early) = (Metrics::new(), Metrics::new());
    run.pass(Log::new(log)?, &elapsed, &mut |row, scored| {
        all.add(scored.probability, scored.right);
        if scored.nth < FIRST {
            early.add(scored.probability, scored.right);
        }
        peers.learn(row, scored);
    })?;
    Ok(AdaptiveReport {
        rows_scored: all.count(),
        rows_skipped: run.skipped,
        auc: all.auc(),
        log_loss: all.log_loss(),
        rmse: all.rmse(),
        ece: all.ece(),
        auc_first10: early.auc(),
        ns_per_step: mean(run.spent.as_nanos() as f64, run.steps),
        state_bytes_mean: run.state_bytes_mean(),
        peers: peers.report(),
    })
}

/// An answer that was predicted.
#[derive(Clone, Copy)]
struct Scored {
    /// Position in the learner's history.
    nth: u32,
    probability: f64,
    right: bool,
}

struct Peers(Vec<(Box<dyn Peer>, Metrics)>);

impl Peers {
    fn new(wished: bool) -> Self {
        let peers = if wished { peers::all() } else { Vec::new() };
        Self(peers.into_iter().map(|peer| (peer, Metrics::new())).collect())
    }

    fn learn(&mut self, row: &Row, scored: Scored) {
        for (peer, metrics) in &mut self.0 {
            let p = peer.observe(row.learner, &row.item, scored.right);
            metrics.add(p.clamp(1e-6, 1.0 - 1e-6), scored.right);
        }
    }

    fn restart_measures(&mut self) {
        for (_, metrics) in &mut self.0 {
            *metrics = Metrics::new();
        }
    }

    fn report(&self) -> BTreeMap<String, PeerReport> {
        let report =
            |m: &Metrics| PeerReport { auc: m.auc(), log_loss: m.log_loss(), ece: m.ece() };
        self.0.iter().map(|(peer, metrics)| (peer.name().to_owned(), report(metrics))).collect()
    }
}

/// Answers of a learner that count as first.
const FIRST: u32 = 10;
/// Rows that are read before the clock is looked at.
const BATCH: usize = 256;

struct Run {
    fold: Fold,
    answered: KeyMap<u64, u32>,
    bad_rows: BadRows,
    skipped: u64,
    steps: u64,
    spent: Duration,
}

impl Run {
    fn new(bad_rows: BadRows) -> Self {
        Self {
            fold: Fold::default(),
            answered: KeyMap::default(),
            bad_rows,
            skipped: 0,
            steps: 0,
            spent: Duration::ZERO,
        }
    }

    fn restart_counts(&mut self) {
        *self = Self { fold: std::mem::take(&mut self.fold), ..Self::new(self.bad_rows) };
    }

    /// Goes once through a log; `scored` gets each answer with its prediction.
    fn pass(
        &mut self,
        mut log: Log<impl Read>,
        elapsed: &impl Fn() -> Duration,
        scored: &mut impl FnMut(&Row, Scored),
    ) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut results = Vec::with_capacity(BATCH);
        loop {
            while batch.len() < BATCH {
                match log.next_row() {
                    None => break,
                    Some(Ok(row)) => batch.push(row),
                    Some(Err(Error::Row { .. })) if self.bad_rows == BadRows::Skip => {
                        self.skipped += 1;
                    }
                    Some(Err(error)) => return Err(error),
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            let start = elapsed();
            for row in &batch {
                match &row.event {
                    Event::Study(at) => self.fold.study(row.learner, &row.item, *at),
                    Event::Answer(outcome) => {
                        let prediction = self.fold.observe(row.learner, &row.item, outcome);
                        results.push(prediction.probability);
                    }
                }
            }
            self.spent += elapsed().saturating_sub(start);
            self.steps += batch.len() as u64;
            let mut results = results.drain(..);
            for row in batch.drain(..) {
                let Event::Answer(outcome) = &row.event else { continue };
                let Some(probability) = results.next() else { break };
                let nth = self.answered.entry(row.learner).or_default();
                scored(&row, Scored { nth: *nth, probability, right: outcome.correct });
                *nth += 1;
            }
        }
    }

    fn state_bytes_mean(&self) -> Option<f64> {
        let (mut bytes, mut count) = (0, 0);
        for (_, learner) in self.fold.learners() {
            bytes += learner.encode().len();
            count += 1;
        }
        mean(bytes as f64, count)
    }
}

fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}
