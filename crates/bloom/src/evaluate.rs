//! Measures of a model on labelled rows.
//!
//! A source is *multi-label* when any of its rows has several labels. There the levels that count
//! are those that reach the model's threshold (or the most probable one, if none does), F1 is
//! that of six yes-or-no decisions and kappa the mean of their six. A *single-label* source
//! counts the most probable level alone, and its kappa is that of one decision among six.
//! Over all rows, each row is decided by the rule of its source.

mod tally;

use std::{
    collections::BTreeMap,
    io::BufRead,
    time::{Duration, Instant},
};

use quizmentor_core::Level;
use serde::{Deserialize, Serialize};

use crate::{Engine, Error, cascade::Stage};
use tally::Tally;

/// Rows classified at once.
const CHUNK: usize = 256;

/// Measures over all rows and over each source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of the model.
    pub model: String,
    /// Rows divided by the time spent on classifying them (word pieces included), on one thread.
    pub questions_per_second: f64,
    /// Share of the rows that the student answered alone.
    pub answered_by_student: f64,
    /// Share of the rows whose level the model left open.
    pub unsure: f64,
    /// Over all rows.
    pub overall: Measures,
    /// By the rows' `source`.
    pub sources: BTreeMap<String, Measures>,
}

/// Measures over a set of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Number of rows.
    pub n: u64,
    /// How levels are decided for `exact_match`, F1 and `kappa`.
    pub rule: DecisionRule,
    /// Share of rows whose decided levels are exactly the labels.
    pub exact_match: f64,
    /// Share of rows whose most probable level is among the labels.
    pub top1: f64,
    /// Mean of `per_level_f1`.
    pub macro_f1: f64,
    /// F1 of each level, in order; 0 for a level that is neither labelled nor decided.
    pub per_level_f1: [f64; 6],
    /// Cohen's kappa (Cohen, 1960); 0 where chance alone would agree fully.
    pub kappa: f64,
    /// Expected calibration error of the most probable level: the gap between confidence and hit
    /// rate over 15 bins of equal width, weighted by rows (Naeini et al., 2015).
    pub ece: f64,
}

/// How levels are decided from probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionRule {
    /// The most probable level alone: sources with one label a row.
    Argmax,
    /// All levels that reach the model's threshold: sources with a row of several labels.
    Threshold,
    /// Each row by the rule of its source, where sources of both kinds are together.
    BySource,
}

/// Further fields are allowed and left unread.
#[derive(Deserialize)]
struct Row {
    text: String,
    labels: Vec<Level>,
    source: String,
}

/// Classifies rows `{"text", "labels": [...], "source"}`, one JSON object a line, and measures
/// the outcome. Blank lines are skipped. Memory does not grow with the rows. `progress` gets the
/// number of rows done so far.
///
/// # Errors
///
/// [`Error::Row`] names the first malformed line; [`Error::NoRows`] for an empty input.
pub fn bloom(
    engine: &Engine,
    rows: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<Report, Error> {
    let mut sources: BTreeMap<String, Tally> = BTreeMap::new();
    let mut spent = Duration::ZERO;
    let (mut done, mut by_student, mut unsure) = (0, 0, 0);
    let mut rows = rows.lines().zip(1..).filter_map(|(line, number)| parse(line, number));
    loop {
        let chunk: Vec<Row> = rows.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<&str> = chunk.iter().map(|row| row.text.as_str()).collect();
        let start = Instant::now();
        let judgements = engine.judge(&texts);
        spent += start.elapsed();
        done += chunk.len() as u64;
        for (row, judgement) in chunk.into_iter().zip(judgements) {
            let probabilities = judgement.probabilities;
            by_student += u64::from(judgement.stage == Stage::Student);
            unsure += u64::from(engine.is_unsure(&probabilities));
            let decided = engine.decide(&probabilities);
            sources.entry(row.source).or_default().add(
                labels(&row.labels),
                &probabilities,
                decided,
            );
        }
        progress(done);
    }
    if sources.is_empty() {
        return Err(Error::NoRows);
    }
    Ok(Report {
        model: engine.version().to_owned(),
        questions_per_second: done as f64 / spent.as_secs_f64(),
        answered_by_student: by_student as f64 / done as f64,
        unsure: unsure as f64 / done as f64,
        overall: tally::overall(sources.values()),
        sources: sources.iter().map(|(name, tally)| (name.clone(), tally.measures())).collect(),
    })
}

/// The row on a line; `None` if the line is blank.
fn parse(line: std::io::Result<String>, number: u64) -> Option<Result<Row, Error>> {
    let row = |problem: String| Error::Row { line: number, problem };
    let line = match line {
        Ok(line) if line.trim().is_empty() => return None,
        Ok(line) => line,
        Err(error) => return Some(Err(row(error.to_string()))),
    };
    Some(match serde_json::from_str::<Row>(&line) {
        Ok(parsed) if parsed.labels.is_empty() => Err(row("labels must not be empty".into())),
        Ok(parsed) => Ok(parsed),
        Err(error) => Err(row(error.to_string())),
    })
}

fn labels(levels: &[Level]) -> [bool; 6] {
    std::array::from_fn(|index| levels.contains(&Level::ALL[index]))
}
