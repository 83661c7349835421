//! Requests to services: one client, one time-out, errors with all their causes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time;

/// Longest time from the connection to the head of the reply, and then to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const KEPT_IDLE: Duration = Duration::from_secs(4);
/// Longest body of a reply that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// A client for `http` and `https` that keeps its connections for some seconds.
#[derive(Debug, Clone)]
pub struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there is no reply to build on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be made.
    #[error("no request: {0}")]
    Request(#[from] hyper::http::Error),
    /// Neither a connection nor a reply came about.
    #[error("{}", causes(.0))]
    Unreachable(#[from] legacy::Error),
    /// The reply ended before its time.
    #[error("{}", causes(.0.as_ref()))]
    Cut(Box<dyn std::error::Error + Send + Sync>),
    /// The service took too long.
    #[error("no reply within {PATIENCE:?}")]
    Timeout,
    /// The service refused.
    #[error("status {0}")]
    Status(StatusCode),
    /// The reply is longer than anyone would need.
    #[error("a reply of over {LONGEST} bytes")]
    TooLong,
}

impl Default for Client {
    fn default() -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        // Servers close what is idle after a time of their own, and a request that meets the end of
        // its connection fails.
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_IDLE)
            .build(connector);
        Self(client)
    }
}

impl Client {
    /// The reply, whatever its status; redirections are not followed.
    ///
    /// # Errors
    /// When none comes within 10 s.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let reply = time::timeout(PATIENCE, self.0.request(request)).await;
        Ok(reply.map_err(|_| Error::Timeout)??)
    }
}

/// The whole body of a reply.
///
/// # Errors
/// When it is longer than 16 MiB or has not come to its end within 10 s.
pub async fn body(reply: Response<Incoming>) -> Result<Bytes, Error> {
    let body = reply.into_body();
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(Error::TooLong);
    }
    let whole = Limited::new(body, LONGEST).collect();
    match time::timeout(PATIENCE, whole).await.map_err(|_| Error::Timeout)? {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLong),
        Err(error) => Err(Error::Cut(error)),
    }
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
