//! What is told as it happens, between devices and between processes, and what is kept meanwhile.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use quizmentor_store::cache::{Cache, Memory};
use quizmentor_testkit::{Client, Installation, questions::statements};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

/// The events of a stream, one after the other: name and data.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    pub(crate) async fn of(client: &Client, path: &str) -> Self {
        let response = client.open(path).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: Body::new(response.into_body()).into_data_stream(), text: String::new() }
    }

    /// `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start_matches(':').trim().to_owned()
                };
                let event = (field("event"), field("data"));
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.body.next()).await.expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    pub(crate) async fn expect(&mut self, name: &str) -> String {
        let (found, data) = self.next().await.expect("the stream goes on");
        assert_eq!(found, name, "{data}");
        data
    }
}

async fn begin(client: &Client) -> Value {
    client.post("/v1/sessions", &json!({})).await.expect(201)
}

/// Answers what the session asks, and returns the session after that.
async fn answer(client: &Client, session: &Value) -> Value {
    let body = json!({
        "id": Uuid::now_v7(),
        "question": session["next"]["question"]["id"],
        "response": { "truth": true },
    });
    let path = format!("/v1/sessions/{}/answers", session["id"].as_str().unwrap());
    client.post(&path, &body).await.expect(200)["session"].clone()
}

#[tokio::test]
async fn a_learner_hears_of_own_sessions_only() {
    let installation = Installation::new(&statements(5)).await;
    let work = tokio::spawn(Arc::clone(&installation.app).follow_news());
    let (ada, eve) = (installation.learner().await, installation.learner().await);
    let mut device = Events::of(&ada, "/v1/live").await;
    let mut stranger = Events::of(&eve, "/v1/live").await;
    device.expect("missed").await;
    stranger.expect("missed").await;

    let session = begin(&ada).await;
    let id = session["id"].as_str().unwrap();
    let begun: Value = serde_json::from_str(&device.expect("session.changed").await).unwrap();
    assert_eq!(begun, json!({ "session": id, "version": 1 }));
    let mut this_one = Events::of(&ada, &format!("/v1/live?session={id}")).await;
    this_one.expect("missed").await;
    let other = begin(&ada).await;
    device.expect("session.changed").await;
    answer(&ada, &session).await;
    let committed: Value = serde_json::from_str(&device.expect("answer.committed").await).unwrap();
    assert_eq!(committed, json!({ "session": id, "version": 2 }));
    let data = this_one.expect("answer.committed").await;
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), committed, "not of the other one");
    ada.post(&format!("/v1/sessions/{}/end", other["id"].as_str().unwrap()), &json!({}))
        .await
        .expect(200);
    device.expect("session.changed").await;

    begin(&eve).await;
    stranger.expect("session.changed").await;
    installation.app.end_listening();
    assert_eq!(device.next().await, None);
    assert_eq!(stranger.next().await, None);
    work.abort();
}

#[tokio::test]
async fn a_learner_has_so_many_listeners_and_who_leaves_makes_room() {
    let installation = Installation::new(&statements(1)).await;
    let (ada, eve) = (installation.learner().await, installation.learner().await);
    let mut listeners = Vec::new();
    for _ in 0..16 {
        listeners.push(Events::of(&ada, "/v1/live").await);
    }
    let refused = ada.open("/v1/live").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "3");
    Events::of(&eve, "/v1/live").await;
    listeners.pop();
    Events::of(&ada, "/v1/live").await;
}

#[tokio::test]
async fn who_does_not_listen_to_news_is_let_go() {
    let installation = Installation::new(&statements(5)).await;
    let work = tokio::spawn(Arc::clone(&installation.app).follow_news());
    let ada = installation.learner().await;
    let mut fast = Events::of(&ada, "/v1/live").await;
    let mut slow = Events::of(&ada, "/v1/live").await;
    fast.expect("missed").await;
    for _ in 0..20 {
        begin(&ada).await;
        fast.expect("session.changed").await;
    }
    let mut heard = 0;
    while slow.next().await.is_some() {
        heard += 1;
    }
    assert!(heard < 20, "{heard}");
    work.abort();
}

#[tokio::test]
async fn only_learners_listen() {
    let installation = Installation::new(&statements(1)).await;
    assert_eq!(installation.anyone().open("/v1/live").await.status(), 401);
}

#[tokio::test]
async fn what_is_kept_of_a_session_follows_the_bank_and_belongs_to_its_learner() {
    let installation = Installation::new(&statements(3)).await;
    let work = tokio::spawn(Arc::clone(&installation.app).follow_news());
    let (ada, eve) = (installation.learner().await, installation.learner().await);
    let mut device = Events::of(&ada, "/v1/live").await;
    device.expect("missed").await;
    let session = begin(&ada).await;
    let next = format!("/v1/sessions/{}/next", session["id"].as_str().unwrap());
    for _ in 0..3 {
        assert_eq!(ada.get(&next).await.expect(200)["next"], session["next"]);
        eve.get(&next).await.problem(404);
    }
    let question = session["next"]["question"]["id"].as_str().unwrap();
    installation.author().await.delete(&format!("/v1/questions/{question}")).await.expect(204);
    let other = ada.get(&next).await.expect(200);
    assert_ne!(other["next"]["question"]["id"], question);
    let present = json!({ "id": session["id"], "next": other["next"] });
    assert_eq!(answer(&ada, &present).await["answered"], 1);
    work.abort();
}

/// Two processes over the same records and the same cache.
#[tokio::test]
async fn what_one_process_does_another_sees_at_once_or_by_the_version() {
    let one = Installation::new(&statements(8)).await;
    let clock: Arc<dyn quizmentor_core::Clock> = one.clock.clone();
    let cache: Arc<dyn Cache> = Arc::clone(&one.app.cache);
    let deaf: Arc<dyn Cache> = Arc::new(Memory::new(clock, NonZeroUsize::MIN));
    for shared in [cache, deaf] {
        let (hears, other) = (Arc::ptr_eq(&shared, &one.app.cache), one.beside(shared).await);
        let work = [&one, &other].map(|here| tokio::spawn(Arc::clone(&here.app).follow_news()));
        let ada = one.learner().await;
        let ada_there = ada.at(&other.anyone());
        let mut device = Events::of(&ada_there, "/v1/live").await;
        device.expect("missed").await;
        let session = begin(&ada).await;
        let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
        assert_eq!(ada_there.get(&path).await.expect(200), session);
        // Each answers in turn, on what it may have kept from before.
        let mut present = session;
        for turn in 0..6 {
            let client = if turn % 2 == 0 { &ada } else { &ada_there };
            if hears && turn % 2 == 1 {
                while device.next().await.unwrap().0 != "answer.committed" {}
                assert_eq!(ada_there.get(&path).await.expect(200), present, "nothing old is shown");
                let next = ada_there.get(&format!("{path}/next")).await.expect(200);
                assert_eq!(next["next"], present["next"], "not in part either");
            }
            present = answer(client, &present).await;
            assert_eq!(present["answered"], turn + 1);
        }
        let answers = ada.get("/v1/me/answers").await.expect(200);
        assert_eq!(answers["answers"].as_array().unwrap().len(), 6);
        work.iter().for_each(JoinHandle::abort);
    }
}
