//! Requests to the server, all counted and timed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, Uri, header},
};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::Semaphore, time};

/// A request without an answer by then has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way at once; the time that others wait for their turn counts as theirs.
const CONNECTIONS: usize = 500;
/// Less than servers keep an idle connection, lest a request meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest reply that is read, in bytes.
const REPLY: usize = 8 << 20;

/// An address such as `http://127.0.0.1:8080`, without a slash at the end.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if uri.scheme_str() != Some("http") || uri.query().is_some() {
        return Err(
            "an address such as http://127.0.0.1:8080 is needed (https is not spoken)".into()
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// From the slash on, with its query.
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) body: Option<Value>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), token: None, body: None }
    }

    pub(super) fn post(path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method: Method::POST, body, ..Self::get(path) }
    }

    pub(super) fn by(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }
}

/// Why a request gave nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended before the reply did.
    #[error("the connection broke: {0}")]
    Disconnect(String),
    /// No reply in time.
    #[error("no reply within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// A reply that says no.
    #[error("status {status}")]
    Status {
        status: StatusCode,
        /// What the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A reply that cannot be understood.
    #[error("a reply that is not understood: {0}")]
    Malformed(String),
}

impl Failure {
    /// Name in the counts of errors.
    fn kind(&self) -> String {
        match self {
            Self::Connect(_) => "connect".to_owned(),
            Self::Disconnect(_) => "disconnect".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Status { status, .. } => format!("http_{}", status.as_u16()),
            Self::Malformed(_) => "malformed".to_owned(),
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Disconnect(_) | Self::Timeout => true,
            Self::Status { status, .. } => {
                *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
            }
            Self::Malformed(_) => false,
        }
    }

    /// What the server asks to wait before another try.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What was sent and what came of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// By kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// Of every reply, whatever its status, and of every time-out.
    pub(super) latencies: Vec<Duration>,
}

impl Tally {
    fn count(&mut self, latency: Duration, failure: Option<&Failure>) {
        self.requests += 1;
        if let Some(failure) = failure {
            *self.errors.entry(failure.kind()).or_default() += 1;
        }
        if !matches!(failure, Some(Failure::Connect(_) | Failure::Disconnect(_))) {
            self.latencies.push(latency);
        }
    }
}

/// A client that all learners share; its connections are kept and passed on among them.
#[derive(Debug)]
pub(super) struct Client {
    base_url: String,
    pool: Pool<HttpConnector, Body>,
    turns: Semaphore,
    tally: Mutex<Tally>,
}

impl Client {
    /// A client of the server at `base_url`, see [`base_url`].
    pub(super) fn new(base_url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self {
            base_url: base_url.to_owned(),
            pool,
            turns: Semaphore::new(CONNECTIONS),
            tally: Mutex::default(),
        }
    }

    /// Sends a request and reads the reply.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let start = Instant::now();
        let reply = match time::timeout(TIMEOUT, self.exchange(call)).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure::Timeout),
        };
        let latency = start.elapsed();
        let read = reply.and_then(|reply| {
            serde_json::from_slice(&reply).map_err(|error| Failure::Malformed(error.to_string()))
        });
        self.tally().count(latency, read.as_ref().err());
        read
    }

    async fn exchange(&self, call: &Call) -> Result<Bytes, Failure> {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let reply = self.pool.request(self.request(call)?).await.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() { Failure::Connect(cause) } else { Failure::Disconnect(cause) }
        })?;
        let (head, body) = reply.into_parts();
        let body = to_bytes(Body::new(body), REPLY)
            .await
            .map_err(|error| Failure::Disconnect(innermost(&error)))?;
        if head.status.is_success() {
            return Ok(body);
        }
        Err(Failure::Status { status: head.status, retry_after: retry_after(&head.headers) })
    }

    fn request(&self, call: &Call) -> Result<Request<Body>, Failure> {
        let mut request =
            Request::builder().method(&call.method).uri(format!("{}{}", self.base_url, call.path));
        if let Some(token) = &call.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match &call.body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        request.body(body).map_err(|error| Failure::Malformed(error.to_string()))
    }

    /// The counts so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds in the header field; a date there is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn status(code: u16) -> Failure {
        Failure::Status { status: StatusCode::from_u16(code).unwrap(), retry_after: None }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let passing = [Failure::Timeout, Failure::Connect(String::new()), status(429), status(503)];
        let final_ones = [Failure::Malformed(String::new()), status(401), status(409), status(422)];
        assert!(passing.iter().all(Failure::is_passing));
        assert!(!final_ones.iter().any(Failure::is_passing));
    }

    #[test]
    fn errors_are_counted_by_kind_and_only_what_was_answered_or_awaited_is_timed() {
        let mut tally = Tally::default();
        let millisecond = Duration::from_millis(1);
        tally.count(millisecond, None);
        for failure in [
            status(503),
            status(503),
            Failure::Timeout,
            Failure::Connect(String::new()),
            Failure::Disconnect(String::new()),
        ] {
            tally.count(millisecond, Some(&failure));
        }
        let errors: Vec<_> = tally.errors.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        let expected = [("connect", 1), ("disconnect", 1), ("http_503", 2), ("timeout", 1)];
        assert_eq!(errors, expected);
        assert_eq!((tally.requests, tally.latencies.len()), (6, 4));
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |value: &'static str| {
            let field = (header::RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&HeaderMap::from_iter([field]))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(base_url("http://[::1]:8080/quiz/").unwrap(), "http://[::1]:8080/quiz");
        for wrong in ["", "localhost:8080", "https://localhost", "http://a b", "http://a/?b"] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
