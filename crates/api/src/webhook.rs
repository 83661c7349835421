//! A consumer of events at a URL, told by POST as of <https://www.standardwebhooks.com>.

use async_trait::async_trait;
use axum::http::{Request, Uri, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use quizmentor_core::Timestamp;
use quizmentor_services::http::Client;
use sha2::Sha256;

use crate::deliver::{Consumer, Delivery};

/// Posts each event as JSON, with the headers `webhook-id`, `webhook-timestamp` and
/// `webhook-signature`: `v1,` and the HMAC-SHA256 of `{id}.{timestamp}.{body}` in base64. Any
/// status from 200 to 299 says that it was taken; redirections are not followed.
pub struct Webhook {
    url: Uri,
    key: Vec<u8>,
    client: Client,
}

impl Webhook {
    /// A webhook at `url`, `http` or `https`, that knows the signing key `key`.
    #[must_use]
    pub fn new(url: Uri, key: &[u8]) -> Self {
        Self { url, key: key.to_vec(), client: Client::default() }
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
        let reply = self.client.send(request).await.map_err(|error| error.to_string())?;
        let status = reply.status();
        if status.is_success() { Ok(()) } else { Err(format!("status {status}")) }
    }
}
