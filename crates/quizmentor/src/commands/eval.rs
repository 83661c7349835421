//! `quizmentor eval`: measures of the engines on files, as one JSON object.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use quizmentor_adaptive::evaluate::{self, BadRows, unpacked};
use quizmentor_bloom::Arithmetic;

use super::{bloom_engine, counter, print_json};

#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    /// Accuracy, calibration and speed of the Bloom engine
    Bloom(Bloom),
    /// Predictions of the adaptive engine on a log of answers: predict, then update
    Adaptive(Adaptive),
    /// Adaptive tests of simulated examinees on a bank of known items
    Cat(Cat),
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

pub(crate) fn run(command: &Eval) -> anyhow::Result<()> {
    match command {
        Eval::Bloom(arguments) => bloom(arguments),
        Eval::Adaptive(arguments) => adaptive(arguments),
        Eval::Cat(arguments) => cat(arguments),
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
    let bad_rows = if arguments.skip_bad_rows { BadRows::Skip } else { BadRows::Refuse };
    let train = arguments.train.as_deref().map(open).transpose()?;
    let report = evaluate::adaptive(open(&arguments.file)?, train, bad_rows, stopwatch())
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
