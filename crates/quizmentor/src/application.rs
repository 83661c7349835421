//! The whole of QuizMentor in one process: stores, engines, routes and background work.

use std::{
    io::{self, IsTerminal},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::Router;
use quizmentor_api::{
    App, Components, Compute, Consumer, LINK_LIFE, LocalIdentity, Part, Webhook, import_starter,
    invite,
};
use quizmentor_bloom::Engine;
use quizmentor_core::{Clock, Role, SystemClock};
use quizmentor_services::flags::{Flags, Shares, Unleash};
use quizmentor_store::{
    cache::{self, Cache},
    records::{Postgres, PostgresOptions, Records, Sqlite},
    vectors::{self, Vectors},
};
use tokio::{task::JoinHandle, time};

use crate::{
    config::{self, Config, Role as ServerRole, Secret},
    logging,
    serve::{Application, Start},
};

/// Name of the database in the data directory.
pub(crate) const DATABASE: &str = "quizmentor.db";
/// Name of the Bloom model in the models directory.
pub(crate) const BLOOM_MODEL: &str = "bloom";
/// Name of the file in the data directory that holds the flags as a server last had them.
const FLAGS: &str = "flags.json";
/// Entries that the cache holds at most.
const CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(200_000).unwrap();
/// Begin of all keys of the cache on a server.
const NAMESPACE: &str = "quizmentor";
/// Questions that can be searched by meaning at most.
const VECTORS: usize = 1_000_000;
/// Longest time that the records may take to answer the watchdog.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that the end of the process waits for the server of flags.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

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
pub(crate) struct Installation {
    app: Arc<App>,
    records: Arc<dyn Records>,
    unleash: Option<Arc<Unleash>>,
    parts: Vec<Part>,
    background: Vec<JoinHandle<()>>,
    welcome: Vec<String>,
}

/// Opens the stores, loads the models, fills an empty bank.
pub(crate) async fn open(start: Start) -> anyhow::Result<Installation> {
    let model = start.models_dir.join(BLOOM_MODEL);
    let engine = tokio::task::spawn_blocking(move || Engine::load(&model));
    let records = open_records(&start.config, &start.data_dir).await?;
    let imported = import_starter(records.as_ref(), STARTER).await.context("starter questions")?;
    let engine = Arc::new(
        engine
            .await?
            .context("cannot load the Bloom model; --models names the directory that holds it")?,
    );
    if start.config.server.lock_models {
        lock(&engine);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let unleash = open_unleash(&start.config, &start.data_dir)?;
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let app = App::open(Components {
        records: Arc::clone(&records),
        cache: open_cache(&start.config, &clock).await?,
        vectors: open_vectors(&start.config, &engine)?,
        compute: Compute::new(engine, workers),
        issuer: LocalIdentity::new(start.token_key.expose()),
        identity: Arc::new(LocalIdentity::new(start.token_key.expose())),
        clock: Arc::clone(&clock),
        flags: flags(&start.config, unleash.as_ref()),
        experiment: start.config.experiment.experiment.clone(),
    })
    .await?;
    let roles = &start.config.server.roles;
    Ok(Installation {
        background: background(&app, &start.config, unleash.clone())?,
        parts: parts(roles),
        welcome: welcome(records.as_ref(), clock.as_ref(), imported, &start.base_url).await?,
        app,
        records,
        unleash,
    })
}

fn lock(engine: &Engine) {
    if let Err(error) = engine.lock_memory() {
        tracing::warn!(
            %error,
            "server.lock_models: the models stay in memory that may be paged out; raise the limit \
             of locked memory (LimitMEMLOCK= of the unit, ulimit -l)"
        );
    }
}

/// The records: on the server that is set, else in the data directory.
pub(crate) async fn open_records(
    config: &Config,
    data_dir: &Path,
) -> anyhow::Result<Arc<dyn Records>> {
    Ok(match postgres(config)? {
        Some(options) => Arc::new(Postgres::open(&options).await?),
        None => Arc::new(Sqlite::open(data_dir.join(DATABASE)).await?),
    })
}

/// How to reach the database that is set; `None` for SQLite.
pub(crate) fn postgres(config: &Config) -> anyhow::Result<Option<PostgresOptions>> {
    let config::Records { url, password_file, .. } = &config.records;
    let Some(url) = url else { return Ok(None) };
    let options = PostgresOptions::new(url.as_str())?;
    let password = config::shared_secret(password_file.as_deref(), "records-password")?;
    Ok(Some(match password {
        Some(password) => options.password(password.text()?),
        None => options,
    }))
}

/// Those who are told of events.
pub(crate) fn consumers(config: &Config) -> anyhow::Result<Vec<Arc<dyn Consumer>>> {
    let config::Events { webhook, key_file } = &config.events;
    let Some(webhook) = webhook else { return Ok(Vec::new()) };
    let key = config::shared_secret(key_file.as_deref(), "webhook-key")?
        .context("a webhook needs a signing key: set key_file in [events]")?;
    let url = webhook.as_str().parse().context("[events] webhook")?;
    Ok(vec![Arc::new(Webhook::new(url, key.expose()))])
}

/// The cache: on the server that is set, else in memory. A server that is away may come later.
pub(crate) async fn open_cache(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Cache>> {
    let config::Cache { url, password_file } = &config.cache;
    let Some(url) = url else {
        return Ok(Arc::new(cache::Memory::new(Arc::clone(clock), CACHE_ENTRIES)));
    };
    let password = config::shared_secret(password_file.as_deref(), "cache-password")?;
    let password = password.as_ref().map(Secret::text).transpose()?;
    let cache = cache::Redis::new(url.as_str(), password, NAMESPACE)?;
    if let Err(error) = cache.ping().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "serving without the cache");
    }
    Ok(Arc::new(cache))
}

/// The vectors: on the server that is set, else in memory. Each model has a collection of its own,
/// so that processes with different ones can run side by side.
pub(crate) fn open_vectors(config: &Config, engine: &Engine) -> anyhow::Result<Arc<dyn Vectors>> {
    let config::Vectors { url, api_key_file } = &config.vectors;
    let dimensions = NonZeroUsize::new(engine.dimensions()).context("a model without embedding")?;
    let Some(url) = url else {
        return Ok(Arc::new(vectors::Memory::new(dimensions, VECTORS)));
    };
    let key = config::shared_secret(api_key_file.as_deref(), "vectors-api-key")?;
    let key = key.as_ref().map(Secret::text).transpose()?;
    let collection = format!("{NAMESPACE}-{}", engine.version());
    Ok(Arc::new(vectors::Qdrant::new(url.as_str(), key, &collection, dimensions)?))
}

/// The server of flags, if one is set.
pub(crate) fn open_unleash(
    config: &Config,
    data_dir: &Path,
) -> anyhow::Result<Option<Arc<Unleash>>> {
    let config::Flags { url, token_file } = &config.flags;
    let Some(url) = url else { return Ok(None) };
    let token = config::shared_secret(token_file.as_deref(), "flags-token")?
        .context("a server of flags needs a token: set token_file in [flags]")?;
    let unleash = Unleash::new(url.as_str(), token.text()?, &data_dir.join(FLAGS))?;
    Ok(Some(Arc::new(unleash)))
}

/// Who has which feature: as the server has it, else a share of the learners the experiment's.
fn flags(config: &Config, unleash: Option<&Arc<Unleash>>) -> Arc<dyn Flags> {
    if let Some(unleash) = unleash {
        return Arc::<Unleash>::clone(unleash);
    }
    let config::Comparison { experiment, share } = &config.experiment;
    Arc::new(experiment.iter().map(|e| (e.name().to_owned(), *share)).collect::<Shares>())
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

/// A secret is no matter for a journal or another log: there, `quizmentor invite` gives a link.
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
    if !logging::to_journal() && (imported > 0 || io::stdout().is_terminal()) {
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

fn background(
    app: &Arc<App>,
    config: &Config,
    unleash: Option<Arc<Unleash>>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let roles = &config.server.roles;
    let mut tasks = vec![
        tokio::spawn(Arc::clone(app).follow_bank()),
        tokio::spawn(Arc::clone(app).follow_news()),
    ];
    if roles.contains(&ServerRole::Jobs) {
        let months_kept = config.records.answers_kept_months;
        tasks.push(tokio::spawn(Arc::clone(app).learn_model()));
        tasks.push(tokio::spawn(Arc::clone(app).tend_months(months_kept)));
        tasks.push(tokio::spawn(Arc::clone(app).deliver_events(consumers(config)?)));
    }
    tasks.extend(unleash.map(|unleash| tokio::spawn(unleash.follow())));
    // Vectors in memory are this process's own, so whoever searches them fills them.
    let fills = config.vectors.url.is_none() && roles.contains(&ServerRole::Bank);
    if fills || roles.contains(&ServerRole::Jobs) {
        tasks.push(tokio::spawn(Arc::clone(app).analyze_questions()));
    }
    Ok(tasks)
}

impl Application for Installation {
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

    fn drain(&self) {
        self.app.end_listening();
    }

    async fn close(&self) {
        for task in &self.background {
            task.abort();
        }
        if let Some(unleash) = &self.unleash
            && let Ok(Err(error)) = time::timeout(REPORT_TIMEOUT, unleash.report()).await
        {
            tracing::warn!(%error, "who had which flag in the last minute is not told");
        }
        self.records.close().await;
    }
}
