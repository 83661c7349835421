//! Events reach each consumer at least once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use quizmentor_api::{Consumer, Delivery, Webhook};
use quizmentor_core::{SignedDuration, Timestamp};
use quizmentor_testkit::{Installation, questions::statements};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

/// Takes an event on its `patience`-th try.
struct Fussy {
    patience: usize,
    tries: Mutex<HashMap<Uuid, usize>>,
}

impl Fussy {
    fn new(patience: usize) -> Arc<Self> {
        Arc::new(Self { patience, tries: Mutex::default() })
    }

    fn tries(&self) -> Vec<usize> {
        self.tries.lock().unwrap().values().copied().collect()
    }
}

#[async_trait]
impl Consumer for Fussy {
    fn name(&self) -> &'static str {
        "fussy"
    }

    async fn take(&self, delivery: &Delivery, _: Timestamp) -> Result<(), String> {
        let mut tries = self.tries.lock().unwrap();
        let tries = tries.entry(delivery.id).or_default();
        *tries += 1;
        if *tries == self.patience { Ok(()) } else { Err(format!("not at try {tries}")) }
    }
}

async fn answer(installation: &Installation, count: usize) {
    let learner = installation.learner().await;
    let mut session = learner.post("/v1/sessions", &json!({})).await.expect(201);
    for _ in 0..count {
        let question = &session["next"]["question"]["id"];
        let answer =
            json!({ "id": Uuid::now_v7(), "question": question, "response": { "truth": true } });
        let path = format!("/v1/sessions/{}/answers", session["id"].as_str().unwrap());
        session = learner.post(&path, &answer).await.expect(200)["session"].take();
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_later() {
    let installation = Installation::new(&statements(9)).await;
    answer(&installation, 3).await;
    let (fussy, app) = (Fussy::new(3), &installation.app);
    let consumers: [Arc<dyn Consumer>; 1] = [fussy.clone()];
    while app.deliver_some(&consumers).await.unwrap() > 0 {}
    assert_eq!(fussy.tries(), [1, 1, 1]);
    installation.clock.advance(SignedDuration::from_secs(5));
    while app.deliver_some(&consumers).await.unwrap() > 0 {}
    assert_eq!(fussy.tries(), [2, 2, 2]);
    installation.clock.advance(SignedDuration::from_secs(9));
    assert_eq!(app.deliver_some(&consumers).await.unwrap(), 0);
    installation.clock.advance(SignedDuration::from_hours(9_999));
    while app.deliver_some(&consumers).await.unwrap() > 0 {}
    assert_eq!(fussy.tries(), [3, 3, 3]);
    installation.clock.advance(SignedDuration::from_hours(9_999));
    assert_eq!(app.deliver_some(&consumers).await.unwrap(), 0);
    assert_eq!(app.records.outbox_after(0, 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_given_up_is_seen_and_revived() {
    let installation = Installation::new(&statements(9)).await;
    answer(&installation, 2).await;
    let (never, app) = (Fussy::new(usize::MAX), &installation.app);
    let consumers: [Arc<dyn Consumer>; 1] = [never.clone()];
    for _ in 0..30 {
        while app.deliver_some(&consumers).await.unwrap() > 0 {}
        installation.clock.advance(SignedDuration::from_hours(2));
    }
    assert_eq!(never.tries(), [20, 20]);
    let admin = installation.admin().await;
    let dead = admin.get("/v1/jobs/dead").await.expect(200);
    assert_eq!(dead["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(dead["jobs"][0]["error"], "not at try 20");
    assert_eq!(dead["jobs"][0]["payload"]["type"], "answer.committed");
    installation.author().await.get("/v1/jobs/dead").await.problem(403);

    let one = json!({ "id": dead["jobs"][0]["id"] });
    assert_eq!(admin.post("/v1/jobs/revive", &one).await.expect(200)["revived"], 1);
    assert_eq!(admin.post("/v1/jobs/revive", &json!({})).await.expect(200)["revived"], 1);
    let willing = Fussy::new(1);
    let consumers: [Arc<dyn Consumer>; 1] = [willing.clone()];
    while app.deliver_some(&consumers).await.unwrap() > 0 {}
    assert_eq!(willing.tries(), [1, 1]);
    assert_eq!(admin.get("/v1/jobs/dead").await.expect(200)["jobs"], json!([]));
}

type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

#[tokio::test]
async fn a_webhook_gets_signed_events_until_it_takes_them() {
    async fn take(
        State(requests): State<Requests>,
        headers: HeaderMap,
        body: Bytes,
    ) -> axum::http::StatusCode {
        let mut requests = requests.lock().unwrap();
        requests.push((headers, body));
        axum::http::StatusCode::from_u16(if requests.len() == 1 { 500 } else { 204 }).unwrap()
    }
    let requests = Requests::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&requests));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let installation = Installation::new(&statements(9)).await;
    answer(&installation, 1).await;
    let consumers: [Arc<dyn Consumer>; 1] =
        [Arc::new(Webhook::new(url.parse().unwrap(), b"a key"))];
    for _ in 0..2 {
        let delivery = installation.app.deliver_some(&consumers);
        tokio::time::timeout(Duration::from_secs(30), delivery).await.unwrap().unwrap();
        installation.clock.advance(SignedDuration::from_secs(60));
    }
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    let header = |n: usize, name: &str| requests[n].0[name].to_str().unwrap().to_owned();
    assert_eq!(header(0, "webhook-id"), header(1, "webhook-id"));
    for (n, (_, body)) in requests.iter().enumerate() {
        let event: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(event["type"], "answer.committed");
        assert_eq!(event["data"]["question"].as_str().unwrap().get(..5), Some("cell-"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a key").unwrap();
        let signed = format!("{}.{}.", header(n, "webhook-id"), header(n, "webhook-timestamp"));
        mac.update(signed.as_bytes());
        mac.update(body);
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header(n, "webhook-signature"), expected);
    }
}
