//! `quizmentor doctor`: looks at all that serving needs, and says what to do about what is wrong.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use quizmentor_bloom::Engine;
use quizmentor_core::{Clock, SignedDuration, SystemClock};
use quizmentor_store::records::{Diagnosis, Postgres, Sqlite};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{print_json, stores::Place};
use crate::{
    application::{self, BLOOM_MODEL},
    config::{self, Config},
};

/// Least free space for data, in bytes, without a failure …
const SPACE_NEEDED: u64 = 64 << 20;
/// … and without a warning.
const SPACE_WANTED: u64 = 1 << 30;
/// Clocks may differ by so much.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    place: Place,
}

/// What one look has shown.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failure,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), advice: None }
    }

    fn warning(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let (detail, advice) = (detail.into(), Some(advice.into()));
        Self { check, state: State::Warning, detail, advice }
    }

    fn failure(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Failure, ..Self::warning(check, detail, advice) }
    }
}

/// Prints a finding a line; fails when any is a failure.
pub(crate) fn run(arguments: &Doctor) -> anyhow::Result<()> {
    let (config, data_dir) = arguments.place.settings()?;
    let engine = Engine::load(&config.models_dir().join(BLOOM_MODEL)).map_err(anyhow::Error::from);
    let mut findings = vec![
        Finding::ok("program", format!("quizmentor {}", env!("CARGO_PKG_VERSION"))),
        disk(&data_dir),
        model(&engine),
        tokens(&config, &data_dir),
        events(&config),
    ];
    Runtime::new()?.block_on(async {
        findings.extend(records(&config, &data_dir).await);
        findings.push(cache(&config).await);
        findings.push(vectors(&config, &engine).await);
        findings.push(flags(&config, &data_dir).await);
    });
    for finding in &findings {
        print_json(finding)?;
    }
    let failures = findings.iter().filter(|finding| finding.state == State::Failure).count();
    ensure!(failures == 0, "serving would fail: {failures} of {} checks did", findings.len());
    Ok(())
}

fn disk(data_dir: &Path) -> Finding {
    const CHECK: &str = "disk";
    // The directory is made on first start, below one that is there.
    let Some(there) = data_dir.ancestors().find(|dir| dir.is_dir()) else {
        let detail = format!("there is no directory above {}", data_dir.display());
        return Finding::failure(CHECK, detail, "make it, or set --data-dir");
    };
    let space = match rustix::fs::statvfs(there) {
        Ok(status) => status.f_bavail * status.f_frsize,
        Err(error) => {
            let detail = format!("{}: {error}", there.display());
            return Finding::failure(CHECK, detail, "see that the directory can be read");
        }
    };
    let detail = format!("{} MiB are free for {}", space >> 20, data_dir.display());
    let advice = "make room: answers are refused when the disk is full";
    if space < SPACE_NEEDED {
        Finding::failure(CHECK, detail, advice)
    } else if space < SPACE_WANTED {
        Finding::warning(CHECK, detail, advice)
    } else {
        Finding::ok(CHECK, detail)
    }
}

fn model(engine: &anyhow::Result<Engine>) -> Finding {
    match engine {
        Ok(engine) => {
            Finding::ok("model", format!("{}, its files as their sums say", engine.version()))
        }
        Err(error) => Finding::failure(
            "model",
            format!("{error:#}"),
            "restore the directory of the model from the release, or set --models",
        ),
    }
}

fn tokens(config: &Config, data_dir: &Path) -> Finding {
    const CHECK: &str = "tokens";
    let Some(file) = config::token_key_file(config, data_dir) else {
        return Finding::ok(CHECK, "no key yet; the first start makes it");
    };
    let shown = file.display();
    match config::read_token_key(&file) {
        Ok(_) if config::is_open_to_all(&file) => Finding::warning(
            CHECK,
            format!("every user of this machine can read their key {shown}"),
            format!("chmod o= {shown}"),
        ),
        Ok(_) => Finding::ok(CHECK, "their key is there"),
        Err(error) => Finding::failure(
            CHECK,
            format!("{error:#}"),
            format!(
                "see that {shown} holds 32 random bytes or more, and that this user can read it"
            ),
        ),
    }
}

fn events(config: &Config) -> Finding {
    const CHECK: &str = "events";
    match application::consumers(config) {
        Ok(consumers) if consumers.is_empty() => Finding::ok(CHECK, "nobody is told"),
        Ok(_) => Finding::ok(CHECK, "a webhook is told, and there is a key to sign with"),
        Err(error) => {
            let advice = "see that [events] in the settings is right";
            Finding::failure(CHECK, format!("{error:#}"), advice)
        }
    }
}

async fn records(config: &Config, data_dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "records";
    let file = data_dir.join(application::DATABASE);
    let diagnosis = match application::postgres(config) {
        Ok(Some(options)) => Postgres::diagnose(&options).await.context("PostgreSQL"),
        Ok(None) if !file.exists() => {
            return vec![Finding::ok(CHECK, "none yet; the first start makes them")];
        }
        Ok(None) => Sqlite::diagnose(&file).await.context("SQLite"),
        Err(error) => Err(error),
    };
    match diagnosis {
        Ok(diagnosis) => [state(&diagnosis), migrations(&diagnosis)]
            .into_iter()
            .chain(months(&diagnosis))
            .chain(clock(&diagnosis))
            .collect(),
        Err(error) => vec![Finding::failure(
            CHECK,
            format!("{error:#}"),
            "see that the server runs and that [records] in the settings is right",
        )],
    }
}

fn state(diagnosis: &Diagnosis) -> Finding {
    match &diagnosis.damage {
        None => Finding::ok("records", &diagnosis.system),
        Some(damage) => Finding::failure(
            "records",
            format!("{}: {damage}", diagnosis.system),
            "stop serving, keep a copy of the file, and restore the last backup",
        ),
    }
}

fn migrations(diagnosis: &Diagnosis) -> Finding {
    const CHECK: &str = "migrations";
    let Diagnosis { pending, later, .. } = diagnosis;
    if !later.is_empty() {
        let detail = format!("the database has migrations of a later release: {later:?}");
        Finding::warning(CHECK, detail, "finish the deployment of the later release")
    } else if !pending.is_empty() {
        let detail = format!("still to be made: {}", pending.join(", "));
        Finding::warning(CHECK, detail, "run quizmentor migrate; serving does it, too")
    } else {
        Finding::ok(CHECK, "all made")
    }
}

fn months(diagnosis: &Diagnosis) -> Option<Finding> {
    const CHECK: &str = "partitions";
    let missing = diagnosis.missing_months.as_ref()?;
    Some(if missing.is_empty() {
        Finding::ok(CHECK, "there are those of this month and the next")
    } else {
        let detail = format!("there is none for the answers of {}", missing.join(" and "));
        let advice = "see that a process with the role jobs runs and what it logs; quizmentor \
                      migrate makes them, too";
        Finding::warning(CHECK, detail, advice)
    })
}

fn clock(diagnosis: &Diagnosis) -> Option<Finding> {
    let difference = SystemClock.now().duration_since(diagnosis.now?).abs();
    let detail = format!("{} ms from the database's", difference.as_millis());
    Some(if difference <= CLOCK_DIFFERENCE {
        Finding::ok("clock", detail)
    } else {
        let advice = "let both machines follow a time server, such as by chrony";
        Finding::warning("clock", detail, advice)
    })
}

async fn cache(config: &Config) -> Finding {
    const CHECK: &str = "cache";
    if config.cache.url.is_none() {
        return Finding::ok(CHECK, "in the process");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let answer = async {
        let cache = application::open_cache(config, &clock).await?;
        Ok::<_, anyhow::Error>(cache.ping().await?)
    };
    match answer.await {
        Ok(()) => Finding::ok(CHECK, "the server answers"),
        Err(error) => Finding::warning(
            CHECK,
            format!("{error:#}"),
            "see that the server runs and that [cache] in the settings is right; until then \
             serving goes on, slower and without limits shared by processes",
        ),
    }
}

async fn vectors(config: &Config, engine: &anyhow::Result<Engine>) -> Finding {
    const CHECK: &str = "vectors";
    if config.vectors.url.is_none() {
        return Finding::ok(CHECK, "in the process");
    }
    let answer = async {
        let engine = engine.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let vectors = application::open_vectors(config, engine)?;
        Ok::<_, anyhow::Error>(vectors.len().await?)
    };
    match answer.await {
        Ok(count) => Finding::ok(CHECK, format!("{count} questions")),
        Err(error) => Finding::warning(
            CHECK,
            format!("{error:#}"),
            "see that the server runs and that [vectors] in the settings is right; until then \
             search by meaning is away and all else goes on",
        ),
    }
}

async fn flags(config: &Config, data_dir: &Path) -> Finding {
    const CHECK: &str = "flags";
    let unleash = match application::open_unleash(config, data_dir) {
        Ok(Some(unleash)) => unleash,
        Ok(None) => return Finding::ok(CHECK, "in the settings"),
        Err(error) => {
            let advice = "see that [flags] in the settings is right";
            return Finding::failure(CHECK, format!("{error:#}"), advice);
        }
    };
    match unleash.ping().await {
        Ok(()) => Finding::ok(CHECK, "the server answers"),
        Err(error) => Finding::warning(
            CHECK,
            error.to_string(),
            "see that the server runs and that [flags] in the settings is right; until then the \
             flags stay as they were last known",
        ),
    }
}
