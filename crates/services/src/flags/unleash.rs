//! Flags as an Unleash server has them.
//!
//! The rules come over the client API
//! (<https://docs.getunleash.io/reference/api/unleash/client>) and are evaluated here, so no
//! request waits for the server. What it said last is kept in a file, for a start without it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::Utc;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue, InvalidHeaderValue},
    http::{request, uri::InvalidUri},
};
use metrics::counter;
use quizmentor_core::LearnerId;
use serde::Serialize;
use serde_json::json;
use tokio::time::{self, Instant, MissedTickBehavior};
use unleash_types::{
    client_features::{ClientFeatures, Context},
    client_metrics::{ClientMetrics, MetricsMetadata},
};
use unleash_yggdrasil::{EngineState, UpdateMessage};
use uuid::Uuid;

use super::Flags;
use crate::http::{self, Client};

/// What the server calls this program.
const APP: &str = "quizmentor";
/// How often the server is asked for changes.
const POLL: Duration = Duration::from_secs(15);
/// How often it is told who had which feature.
const REPORT: Duration = Duration::from_mins(1);

/// The flags of an Unleash server as they were last known; all are off before it has answered
/// once. A learner's id is the `userId` of the rules.
pub struct Unleash {
    engine: EngineState,
    client: Client,
    address: String,
    token: HeaderValue,
    kept: PathBuf,
    instance: String,
    /// Of the flags that the engine has.
    tag: Mutex<Option<HeaderValue>>,
}

/// Why the flags stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum UnleashError {
    /// The address cannot be asked.
    #[error("no address of Unleash: {0}")]
    Address(#[from] InvalidUri),
    /// The token holds characters that no token has.
    #[error("no token of Unleash: {0}")]
    Token(#[from] InvalidHeaderValue),
    /// The server does not answer as it should.
    #[error("Unleash: {0}")]
    Server(#[from] http::Error),
    /// What it says are no flags.
    #[error("Unleash: no flags: {0}")]
    Flags(#[from] serde_json::Error),
    /// The file of the last flags cannot be read.
    #[error("the file of the last flags: {0}")]
    File(#[from] io::Error),
}

impl Unleash {
    /// The flags that `token` may see of the server whose API is at `address`, such as
    /// `http://127.0.0.1:4242/api`; until it answers, those in the file `kept`, if it is there.
    ///
    /// # Errors
    /// When address or token cannot be used.
    pub fn new(address: &str, token: &str, kept: &Path) -> Result<Self, UnleashError> {
        let address = address.trim_end_matches('/').to_owned();
        address.parse::<Uri>()?;
        let mut token = HeaderValue::from_str(token)?;
        token.set_sensitive(true);
        let unleash = Self {
            engine: EngineState::default(),
            client: Client::default(),
            address,
            token,
            kept: kept.to_owned(),
            instance: Uuid::new_v4().to_string(),
            tag: Mutex::default(),
        };
        if let Err(error) = unleash.take_kept() {
            tracing::warn!(%error, file = %kept.display(), "all flags are off until Unleash answers");
        }
        Ok(unleash)
    }

    /// Asks the server; whether anything has changed.
    ///
    /// # Errors
    /// When it does not answer, or with no flags. The flags stay as they were.
    pub async fn refresh(&self) -> Result<bool, UnleashError> {
        let outcome = self.ask().await;
        let told = if outcome.is_ok() { "ok" } else { "failed" };
        counter!("flag_refreshes_total", "outcome" => told).increment(1);
        outcome
    }

    async fn ask(&self) -> Result<bool, UnleashError> {
        let Some((tag, flags)) = self.fetch().await? else { return Ok(false) };
        self.take(&flags)?;
        *self.tag() = tag;
        if let Err(error) = self.keep(&flags) {
            tracing::warn!(%error, file = %self.kept.display(), "flags are not kept for a restart");
        }
        Ok(true)
    }

    /// Asks the server and takes nothing over.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub async fn ping(&self) -> Result<(), UnleashError> {
        self.fetch().await?;
        Ok(())
    }

    /// What the server says, with its tag; `None` while that is what is known.
    async fn fetch(&self) -> Result<Option<(Option<HeaderValue>, Bytes)>, UnleashError> {
        let mut request = self.request(Method::GET, "/client/features");
        if let Some(tag) = self.tag().clone() {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Full::default()).map_err(http::Error::from)?;
        let reply = self.client.send(request).await?;
        if reply.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let reply = succeeded(reply)?;
        let tag = reply.headers().get(header::ETAG).cloned();
        Ok(Some((tag, http::body(reply).await?)))
    }

    /// Tells the server who had which feature since the last time.
    ///
    /// # Errors
    /// When it does not take that; it is then told the next time.
    pub async fn report(&self) -> Result<(), UnleashError> {
        let Some(bucket) = self.engine.get_metrics(Utc::now()) else { return Ok(()) };
        let metrics = ClientMetrics {
            app_name: APP.to_owned(),
            bucket: Some(bucket.clone()),
            environment: None,
            instance_id: Some(self.instance.clone()),
            connection_id: Some(self.instance.clone()),
            impact_metrics: None,
            metadata: MetricsMetadata::default(),
        };
        let outcome = self.tell("/client/metrics", &metrics).await;
        if outcome.is_err() {
            self.engine.restore_metrics(bucket);
        }
        outcome
    }

    /// Asks and tells the server for ever.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut introduced, mut reported) = (false, Instant::now());
        let (mut asking, mut telling) = (
            Troubles::of("flags may be out of date"),
            Troubles::of("Unleash does not take who has which flag"),
        );
        loop {
            ticks.tick().await;
            if !asking.note(&self.refresh().await) {
                introduced = false;
                continue;
            }
            if !introduced {
                introduced = telling.note(&self.introduce().await);
            }
            if reported.elapsed() >= REPORT && telling.note(&self.report().await) {
                reported = Instant::now();
            }
        }
    }

    /// Tells the server that this process asks it.
    ///
    /// # Errors
    /// When it does not take that.
    pub async fn introduce(&self) -> Result<(), UnleashError> {
        let application = json!({
            "appName": APP,
            "instanceId": self.instance,
            "connectionId": self.instance,
            "sdkVersion": concat!("quizmentor:", env!("CARGO_PKG_VERSION")),
            "started": self.engine.started,
            "interval": POLL.as_millis(),
            "strategies": [],
        });
        self.tell("/client/register", &application).await
    }

    async fn tell(&self, path: &str, what: &impl Serialize) -> Result<(), UnleashError> {
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(serde_json::to_vec(what)?).into())
            .map_err(http::Error::from)?;
        succeeded(self.client.send(request).await?)?;
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(header::AUTHORIZATION, &self.token)
            .header("unleash-appname", APP)
            .header("unleash-instanceid", &self.instance)
            .header("unleash-connection-id", &self.instance)
    }

    fn take(&self, flags: &[u8]) -> Result<(), UnleashError> {
        let flags: ClientFeatures = serde_json::from_slice(flags)?;
        let warnings = self.engine.take_state(UpdateMessage::FullResponse(flags));
        for warning in warnings.into_iter().flatten() {
            tracing::warn!(
                flag = warning.toggle_name,
                reason = warning.message,
                "a rule is of no use"
            );
        }
        Ok(())
    }

    fn take_kept(&self) -> Result<(), UnleashError> {
        match fs::read(&self.kept) {
            Ok(flags) => self.take(&flags),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the file, whole or not at all.
    fn keep(&self, flags: &[u8]) -> io::Result<()> {
        let mut draft =
            tempfile::NamedTempFile::new_in(self.kept.parent().unwrap_or(Path::new(".")))?;
        draft.write_all(flags)?;
        draft.as_file().sync_all()?;
        draft.persist(&self.kept).map_err(|refused| refused.error)?;
        Ok(())
    }

    fn tag(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.tag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flags for Unleash {
    fn is_on(&self, flag: &str, learner: LearnerId) -> bool {
        let context = Context { user_id: Some(learner.to_string()), ..Context::default() };
        let on = self.engine.is_enabled(flag, &context, &None);
        self.engine.count_toggle(flag, on);
        on
    }

    fn share(&self, _: &str) -> Option<f64> {
        None
    }
}

fn succeeded(reply: Response<Incoming>) -> Result<Response<Incoming>, http::Error> {
    let status = reply.status();
    if status.is_success() { Ok(reply) } else { Err(http::Error::Status(status)) }
}

/// Trouble with the server, which is logged when it begins and when it is over.
struct Troubles {
    what: &'static str,
    there: bool,
}

impl Troubles {
    fn of(what: &'static str) -> Self {
        Self { what, there: false }
    }

    /// Whether all went well.
    fn note<T>(&mut self, outcome: &Result<T, UnleashError>) -> bool {
        match outcome {
            Ok(_) if self.there => tracing::info!("over: {}", self.what),
            Err(error) if !self.there => tracing::warn!(%error, "{}", self.what),
            _ => {}
        }
        self.there = outcome.is_err();
        !self.there
    }
}
