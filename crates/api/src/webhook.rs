//! A consumer of events at a URL, told by POST as of <https://www.standardwebhooks.com>.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, Uri, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use quizmentor_core::Timestamp;
use sha2::Sha256;

use crate::deliver::{Consumer, Delivery};

/// Longest time from the connection to the head of the reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts each event as JSON, with the headers `webhook-id`, `webhook-timestamp` and
/// `webhook-signature`: `v1,` and the HMAC-SHA256 of `{id}.{timestamp}.{body}` in base64. Any
/// status from 200 to 299 says that it was taken; redirections are not followed.
pub struct Webhook {
    url: Uri,
    key: Vec<u8>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Webhook {
    /// A webhook at `url`, `http` or `https`, that knows the signing key `key`.
    #[must_use]
    pub fn new(url: Uri, key: &[u8]) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { url, key: key.to_vec(), client }
    }

    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|e| e.to_string())?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    }
}

#[async_trait]
impl Consumer for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn take(&self, delivery: &Delivery, now: Timestamp) -> Result<(), String> {
        let body = serde_json::to_vec(delivery).map_err(|error| error.to_string())?;
        let (id, timestamp) = (delivery.id.to_string(), now.as_second());
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.signature(&id, timestamp, &body)?)
            .body(Full::from(body))
            .map_err(|error| error.to_string())?;
        let reply = tokio::time::timeout(PATIENCE, self.client.request(request))
            .await
            .map_err(|_| format!("no reply within {PATIENCE:?}"))?
            .map_err(|error| causes(&error))?;
        let status = reply.status();
        if status.is_success() { Ok(()) } else { Err(format!("status {status}")) }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
