//! The whole of QuizMentor in one process, over the embedded stores.

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::Router;
use quizmentor_api::{
    App, Components, Compute, LINK_LIFE, LocalIdentity, Part, import_starter, invite,
};
use quizmentor_bloom::Engine;
use quizmentor_core::{Clock, Role, SystemClock};
use quizmentor_store::{
    cache,
    records::{Records, Sqlite},
    vectors,
};
use tokio::{task::JoinHandle, time};

use crate::{
    config::Role as ServerRole,
    logging,
    serve::{Application, Start},
};

/// Name of the database in the data directory.
const DATABASE: &str = "quizmentor.db";
/// Name of the Bloom model in the models directory.
pub(crate) const BLOOM_MODEL: &str = "bloom";
/// Entries that the cache holds at most.
const CACHE_ENTRIES: usize = 200_000;
/// Questions that can be searched by meaning at most.
const VECTORS: usize = 1_000_000;
/// Longest time that the records may take to answer the watchdog.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

macro_rules! starter {
    ($($name:literal),* $(,)?) => {
        /// The starter questions, by file.
        const STARTER: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../starter/", $name)))),*];
    };
}

starter!(
    "biology.gift",
    "chemistry.gift",
    "computer-science.gift",
    "economics.gift",
    "geography.gift",
    "history.gift",
    "mathematics.gift",
    "physics.gift",
);

/// Stores, engines, routes and background work.
pub(crate) struct Embedded {
    app: Arc<App>,
    records: Sqlite,
    parts: Vec<Part>,
    background: Vec<JoinHandle<()>>,
    welcome: Vec<String>,
}

/// Opens the stores, loads the models, fills an empty bank.
pub(crate) async fn open(start: Start) -> anyhow::Result<Embedded> {
    let model = start.models_dir.join(BLOOM_MODEL);
    let engine = tokio::task::spawn_blocking(move || Engine::load(&model));
    let records = open_records(&start.data_dir).await?;
    let imported = import_starter(&records, STARTER).await.context("starter questions")?;
    let engine = Arc::new(
        engine
            .await?
            .context("cannot load the Bloom model; --models names the directory that holds it")?,
    );
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dimensions = NonZeroUsize::new(engine.dimensions()).context("a model without embedding")?;
    let entries = NonZeroUsize::new(CACHE_ENTRIES).context("a cache without room")?;
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let app = App::open(Components {
        records: Arc::new(records.clone()),
        cache: Arc::new(cache::Memory::new(Arc::clone(&clock), entries)),
        vectors: Arc::new(vectors::Memory::new(dimensions, VECTORS)),
        compute: Compute::new(engine, workers),
        issuer: LocalIdentity::new(start.token_key.expose()),
        identity: Arc::new(LocalIdentity::new(start.token_key.expose())),
        clock: Arc::clone(&clock),
        experiment: start.config.experiment.0.clone(),
    })
    .await?;
    let roles = &start.config.server.roles;
    Ok(Embedded {
        background: background(&app, roles),
        parts: parts(roles),
        welcome: welcome(&records, clock.as_ref(), imported, &start.base_url).await?,
        app,
        records,
    })
}

/// The records in the data directory.
pub(crate) async fn open_records(data_dir: &Path) -> anyhow::Result<Sqlite> {
    Ok(Sqlite::open(data_dir.join(DATABASE)).await?)
}

/// A one-time link to sign in, and the minutes that it lasts.
pub(crate) async fn sign_in_link(
    records: &dyn Records,
    clock: &dyn Clock,
    role: Role,
    base_url: &str,
) -> anyhow::Result<(String, u64)> {
    let (code, _) = invite(records, role, clock.now()).await?;
    Ok((format!("{base_url}/#code={code}"), LINK_LIFE.as_secs() / 60))
}

/// A secret is no matter for a journal: there, `quizmentor invite` gives a link.
async fn welcome(
    records: &dyn Records,
    clock: &dyn Clock,
    imported: usize,
    base_url: &str,
) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    if imported > 0 {
        lines.push(format!("{imported} starter questions were imported"));
    }
    if !logging::to_journal() {
        let (link, minutes) = sign_in_link(records, clock, Role::Author, base_url).await?;
        lines.push(format!("Authors sign in (once, within {minutes} minutes) at {link}"));
    }
    Ok(lines)
}

fn parts(roles: &[ServerRole]) -> Vec<Part> {
    roles
        .iter()
        .filter_map(|role| match role {
            ServerRole::Bloom => Some(Part::Bloom),
            ServerRole::Adaptive => Some(Part::Adaptive),
            ServerRole::Bank => Some(Part::Bank),
            ServerRole::Web => Some(Part::Web),
            ServerRole::Jobs => None,
        })
        .collect()
}

fn background(app: &Arc<App>, roles: &[ServerRole]) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(Arc::clone(app).follow_bank())];
    if roles.contains(&ServerRole::Jobs) {
        tasks.push(tokio::spawn(Arc::clone(app).learn_model()));
    }
    // The embedded vectors live in this process, so whoever searches them fills them.
    if roles.contains(&ServerRole::Bank) || roles.contains(&ServerRole::Jobs) {
        tasks.push(tokio::spawn(Arc::clone(app).analyze_questions()));
    }
    tasks
}

impl Application for Embedded {
    fn router(&self) -> Router {
        quizmentor_api::router(Arc::clone(&self.app), &self.parts)
    }

    fn welcome(&self) -> Vec<String> {
        self.welcome.clone()
    }

    async fn probe(&self) -> anyhow::Result<()> {
        if self.background.iter().any(JoinHandle::is_finished) {
            bail!("work in the background has ended");
        }
        time::timeout(PROBE_TIMEOUT, self.records.ping())
            .await
            .context("the records do not answer")??;
        Ok(())
    }

    async fn close(&self) {
        for task in &self.background {
            task.abort();
        }
        self.records.close().await;
    }
}
