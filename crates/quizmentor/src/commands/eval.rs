//! `quizmentor eval`: measures of the engines on files, as one JSON object.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use quizmentor_adaptive::evaluate::{self, BadRows, Options, unpacked};
use quizmentor_api::rebuilt_states;
use quizmentor_bloom::Arithmetic;
use quizmentor_core::LearnerId;
use serde::Serialize;

use super::{bloom_engine, counter, print_json, stores::Place};

#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    /// Accuracy, calibration and speed of the Bloom engine
    Bloom(Bloom),
    /// Predictions of the adaptive engine on a log of answers: predict, then update
    Adaptive(Adaptive),
    /// Adaptive tests of simulated examinees on a bank of known items
    Cat(Cat),
    /// Two policies on an exported log of answers: what the candidate would have earned
    Policy(Policy),
    /// How long the choice of a question takes in a bank of some size
    Selection(Selection),
    /// Learn every learner's state anew from the log of answers, and compare with what is stored
    States(States),
}

#[derive(Debug, Args)]
pub(crate) struct Bloom {
    /// Rows {"text", "labels": [...], "source"}, one JSON object a line
    file: PathBuf,
    /// Calculate in floats, as the reference does, instead of bytes
    #[arg(long)]
    float: bool,
    /// Where the trained models are [default: as for serve]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Adaptive {
    /// CSV, plain or gzip, with the columns learner and correct; optional: item, skills (separated
    /// by “;”), timestamp_ms, event (correct, incorrect or study), latency_ms
    file: PathBuf,
    /// A log of the same kind to learn items and weights from first; not scored
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Skip malformed rows and count them, instead of stopping at the first
    #[arg(long)]
    skip_bad_rows: bool,
    /// Measure simpler models (item mean, Elo, two-parameter logistic, Best-LR) on the same rows
    #[arg(long)]
    peers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// CSV, plain or gzip: item,a,b
    bank: PathBuf,
    /// CSV, plain or gzip: examinee,theta
    thetas: PathBuf,
    /// Largest share of the examinees that any item may be shown to, 0 to 1
    #[arg(long, value_name = "CAP")]
    exposure: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// CSV, plain or gzip, as GET /v1/answers exports it
    log: PathBuf,
    /// The policy that served
    #[arg(long, value_name = "POLICY", default_value = "practice-1")]
    serving: String,
    /// The policy to compare with it
    #[arg(long, value_name = "POLICY", default_value = "practice-2")]
    candidate: String,
    /// Skip malformed rows and count them, instead of stopping at the first
    #[arg(long)]
    skip_bad_rows: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Items of the synthetic bank, 1 to 1000000
    items: usize,
}

#[derive(Debug, Args)]
pub(crate) struct States {
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(command: &Eval) -> anyhow::Result<()> {
    match command {
        Eval::Bloom(arguments) => bloom(arguments),
        Eval::Adaptive(arguments) => adaptive(arguments),
        Eval::Cat(arguments) => cat(arguments),
        Eval::Policy(arguments) => policy(arguments),
        Eval::Selection(arguments) => {
            print_json(&evaluate::selection(arguments.items, stopwatch())?)
        }
        Eval::States(arguments) => states(arguments),
    }
}

/// The content of a file, unpacked where it is compressed by gzip.
fn open(path: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::new(unpacked(file)?))
}

/// Time since this call.
fn stopwatch() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}

fn bloom(arguments: &Bloom) -> anyhow::Result<()> {
    let rows = open(&arguments.file)?;
    let arithmetic = if arguments.float { Arithmetic::Float } else { Arithmetic::Int8 };
    let engine = bloom_engine(arguments.models.as_ref(), arithmetic)?;
    let progress = counter("questions");
    let report =
        quizmentor_bloom::evaluate::bloom(&engine, rows, |done| progress.set_position(done))
            .with_context(|| arguments.file.display().to_string())?;
    progress.finish_and_clear();
    print_json(&report)
}

fn adaptive(arguments: &Adaptive) -> anyhow::Result<()> {
    let bad_rows = bad_rows(arguments.skip_bad_rows);
    let options = Options { bad_rows, peers: arguments.peers };
    let train = arguments.train.as_deref().map(open).transpose()?;
    let report = evaluate::adaptive(open(&arguments.file)?, train, options, stopwatch())
        .with_context(|| arguments.file.display().to_string())?;
    print_json(&report)
}

fn cat(arguments: &Cat) -> anyhow::Result<()> {
    let report = evaluate::cat(
        open(&arguments.bank)?,
        open(&arguments.thetas)?,
        arguments.exposure,
        stopwatch(),
    )?;
    print_json(&report)
}

fn bad_rows(skip: bool) -> BadRows {
    if skip { BadRows::Skip } else { BadRows::Refuse }
}

fn policy(arguments: &Policy) -> anyhow::Result<()> {
    let Policy { log, serving, candidate, skip_bad_rows } = arguments;
    let report = evaluate::policies(open(log)?, serving, candidate, bad_rows(*skip_bad_rows))
        .with_context(|| log.display().to_string())?;
    print_json(&report)
}

/// How the states learned anew compare with those stored.
#[derive(Serialize)]
struct StatesReport {
    learners: usize,
    equal: usize,
    different: Vec<LearnerId>,
}

fn states(arguments: &States) -> anyhow::Result<()> {
    arguments.place.with_records(async |records| {
        let rebuilt = rebuilt_states(records.as_ref()).await?;
        let mut report = StatesReport { learners: rebuilt.len(), equal: 0, different: Vec::new() };
        for (id, learner) in rebuilt {
            let stored = records.learner_state(id).await?;
            if stored.is_some_and(|stored| stored.bytes == learner.encode()) {
                report.equal += 1;
            } else {
                report.different.push(id);
            }
        }
        print_json(&report)
    })
}
