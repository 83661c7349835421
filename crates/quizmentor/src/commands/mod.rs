//! Subcommands besides serving. Each prints one JSON object, or one a line, on standard output;
//! progress goes to standard error where that is a terminal.

pub(crate) mod classify;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod invite;
pub(crate) mod simulate;
pub(crate) mod stores;

use std::{
    borrow::Cow,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use quizmentor_bloom::{Arithmetic, Engine};
use serde::Serialize;

use crate::{application::BLOOM_MODEL, cli, config};

/// The Bloom engine with the model in `models`, or where serving would look for it.
fn bloom_engine(models: Option<&PathBuf>, arithmetic: Arithmetic) -> anyhow::Result<Engine> {
    let models = match models {
        Some(dir) => dir.clone(),
        None => config::load(None, cli::environment())?.models_dir(),
    };
    Engine::load_with(&models.join(BLOOM_MODEL), arithmetic).context("cannot load the Bloom model")
}

/// A counter of `what` on standard error; silent where that is no terminal.
fn counter(what: impl Into<Cow<'static, str>>) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints `value` as one line of JSON.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
