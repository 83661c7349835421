//! Settings: documented defaults, one TOML file, the environment, flags.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::ValueEnum;
use ipnet::IpNet;
use quizmentor_api::{Experiment, ExperimentError};
use serde::{Deserialize, Deserializer, de::Error};
use tracing_subscriber::EnvFilter;

mod secret;
mod source;
mod stores;

pub(crate) use secret::{
    Secret, is_open_to_all, read_token_key, shared_secret, token_key, token_key_file,
};
pub(crate) use source::{Mistakes, load};
pub(crate) use stores::{Cache, Events, Flags, Records, Traces, Vectors};

/// The default settings with their explanations, as a file to start from.
pub(crate) const DEFAULTS: &str = include_str!("../defaults.toml");

/// Everything that can be set; `defaults.toml` explains each key and holds its default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) auth: Auth,
    pub(crate) experiment: Comparison,
    pub(crate) flags: Flags,
    pub(crate) records: Records,
    pub(crate) cache: Cache,
    pub(crate) vectors: Vectors,
    pub(crate) events: Events,
    pub(crate) traces: Traces,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "roles")]
    pub(crate) roles: Vec<Role>,
    #[serde(deserialize_with = "path")]
    pub(crate) data_dir: Option<PathBuf>,
    #[serde(deserialize_with = "path")]
    pub(crate) models_dir: Option<PathBuf>,
    pub(crate) lock_models: bool,
    #[serde(deserialize_with = "duration")]
    pub(crate) request_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) drain_timeout: Duration,
    #[serde(deserialize_with = "networks")]
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Bounds on what one peer may take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub(crate) connections: u32,
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub(crate) connections_per_address: u32,
    #[serde(deserialize_with = "within::<_, 1, 100_000>")]
    pub(crate) requests: u32,
    #[serde(deserialize_with = "within::<_, 0, 100_000>")]
    pub(crate) queue: u32,
    #[serde(deserialize_with = "duration")]
    pub(crate) queue_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) header_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) idle_timeout: Duration,
    #[serde(deserialize_with = "within::<_, 1, 1000>")]
    pub(crate) headers: u32,
    #[serde(deserialize_with = "within::<_, 8192, 1_048_576>")]
    pub(crate) header_bytes: u32,
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub(crate) streams: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    #[serde(deserialize_with = "filter")]
    pub(crate) filter: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    #[serde(deserialize_with = "path")]
    pub(crate) token_key_file: Option<PathBuf>,
}

/// The experiment to run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ExperimentTable")]
pub(crate) struct Comparison {
    /// `None` while its name is empty.
    pub(crate) experiment: Option<Experiment>,
    /// Of the learners that get the treatment, 0 to 1, unless a server of flags decides.
    pub(crate) share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentTable {
    name: String,
    control: String,
    treatment: String,
    #[serde(deserialize_with = "stores::share")]
    share: f64,
}

impl TryFrom<ExperimentTable> for Comparison {
    type Error = ExperimentError;

    fn try_from(table: ExperimentTable) -> Result<Self, ExperimentError> {
        let ExperimentTable { name, control, treatment, share } = table;
        let experiment = Experiment::new(&name, &control, &treatment)?;
        Ok(Self { experiment: (!name.is_empty()).then_some(experiment), share })
    }
}

/// A group of routes and tasks that a process takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Classifies and validates questions
    Bloom,
    /// Practice sessions, answers, reviews, mastery
    Adaptive,
    /// The question bank: writing, importing, searching
    Bank,
    /// Background work: calibration, delivery of events
    Jobs,
    /// The pages for the browser
    Web,
}

impl Config {
    /// The directory for data: the one that is set, else `$STATE_DIRECTORY`, else the user's data
    /// directory. That last one, rather than one below the working directory, finds the same
    /// data wherever the program is started and never leaves any in a checkout.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.server.data_dir {
            return Ok(dir.clone());
        }
        if let Some(dirs) = std::env::var_os("STATE_DIRECTORY")
            && let Some(first) = std::env::split_paths(&dirs).find(|dir| dir.is_absolute())
        {
            return Ok(first);
        }
        let base = |name| {
            let dir = PathBuf::from(std::env::var_os(name)?);
            dir.is_absolute().then_some(dir)
        };
        base("XDG_DATA_HOME")
            .or_else(|| Some(base("HOME")?.join(".local/share")))
            .map(|base| base.join("quizmentor"))
            .context("no place for data: neither --data-dir nor $STATE_DIRECTORY nor $HOME is set")
    }

    /// The directory of the trained models.
    pub(crate) fn models_dir(&self) -> PathBuf {
        let installed = || {
            let program = std::env::current_exe().ok()?;
            let dir = program.parent()?.parent()?.join("share/quizmentor/models");
            dir.is_dir().then_some(dir)
        };
        self.server.models_dir.clone().or_else(installed).unwrap_or_else(|| "models".into())
    }
}

fn roles<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Role>, D::Error> {
    let roles = Vec::deserialize(input)?;
    if roles.is_empty() {
        return Err(D::Error::custom("a process needs at least one role"));
    }
    Ok(roles)
}

/// Networks, or single addresses.
fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            let examples = "such as \"10.0.0.7\" or \"10.0.0.0/8\"";
            D::Error::custom(format!("\"{text}\" is no address or network, {examples}"))
        })
    };
    Vec::<String>::deserialize(input)?.into_iter().map(network).collect()
}

fn path<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(input)?;
    Ok((path != Path::new("")).then_some(path))
}

fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|duration| (Duration::from_millis(1)..=Duration::from_hours(24)).contains(duration))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "\"{text}\" is no duration from 1ms to 24h; write a number with its unit, such as \
                 \"500ms\", \"10s\" or \"2m\""
            ))
        })
}

fn within<'de, D: Deserializer<'de>, const LEAST: u32, const MOST: u32>(
    input: D,
) -> Result<u32, D::Error> {
    let number = i64::deserialize(input)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (LEAST..=MOST).contains(number))
        .ok_or_else(|| D::Error::custom(format!("{number} is not within {LEAST} to {MOST}")))
}

fn filter<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    EnvFilter::builder()
        .parse(&text)
        .map_err(|error| D::Error::custom(format!("\"{text}\" is no log filter: {error}")))?;
    Ok(text)
}

/// Makes the directory for data, which nobody else may look into.
///
/// # Errors
///
/// When it cannot be made.
pub(crate) fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the data directory {}", dir.display()))
}
