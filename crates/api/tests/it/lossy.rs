//! A cache that loses what it is given: nothing wrong comes of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use quizmentor_api::{Consumer, Delivery};
use quizmentor_core::{SignedDuration, Timestamp};
use quizmentor_store::{
    Error, Result,
    cache::{Allowance, Cache, LAST},
};
use quizmentor_testkit::{Installation, questions::statements};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{live::Events, sitting::Sitting};

/// Reads go through; of writes and messages none does while it loses them.
struct Lossy {
    inner: Arc<dyn Cache>,
    loses: AtomicBool,
    /// All keys of values and limits that it was asked for.
    keys: Mutex<BTreeSet<String>>,
}

impl Lossy {
    fn over(inner: &Arc<dyn Cache>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            loses: AtomicBool::new(false),
            keys: Mutex::default(),
        })
    }

    fn lose(&self, loses: bool) {
        self.loses.store(loses, Ordering::SeqCst);
    }

    fn note(&self, key: &str) {
        self.keys.lock().unwrap().insert(key.to_owned());
    }

    fn pass(&self) -> Result<()> {
        if self.loses.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { what: "the cache".into(), source: "it loses".into() });
        }
        Ok(())
    }

    /// The one key that begins with `start`.
    fn key(&self, start: &str) -> String {
        let keys = self.keys.lock().unwrap();
        let mut found = keys.iter().filter(|key| key.starts_with(start));
        let key = found.next().unwrap_or_else(|| panic!("no {start} in {keys:?}"));
        assert_eq!(found.next(), None);
        key.clone()
    }
}

#[async_trait]
impl Cache for Lossy {
    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn get(&self, key: &str) -> Result<Option<(u64, Bytes)>> {
        self.note(key);
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, version: u64, value: Bytes, ttl: Duration) -> Result<()> {
        self.note(key);
        self.pass()?;
        self.inner.put(key, version, value, ttl).await
    }

    async fn remove(&self, key: &str, version: u64) -> Result<()> {
        self.pass()?;
        self.inner.remove(key, version).await
    }

    async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64> {
        self.pass()?;
        self.inner.increment(key, by, ttl).await
    }

    async fn allow(&self, key: &str, limit: u32, window: Duration) -> Result<Allowance> {
        self.note(key);
        self.pass()?;
        self.inner.allow(key, limit, window).await
    }

    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        self.pass()?;
        self.inner.publish(topic, message).await
    }

    async fn subscribe(&self, topic: &str) -> Result<mpsc::Receiver<Bytes>> {
        self.inner.subscribe(topic).await
    }
}

/// Notes the kinds and data of what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<(String, Value)>>);

#[async_trait]
impl Consumer for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    async fn take(&self, delivery: &Delivery, _: Timestamp) -> std::result::Result<(), String> {
        self.0.lock().unwrap().push((delivery.kind.clone(), delivery.data.clone()));
        Ok(())
    }
}

/// Waits until the cache holds what `is_right` accepts under `key`.
async fn settled(cache: &dyn Cache, key: &str, is_right: impl Fn(&Option<(u64, Bytes)>) -> bool) {
    for _ in 0..500 {
        if is_right(&cache.get(key).await.unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", cache.get(key).await);
}

#[tokio::test]
async fn lost_states_cost_a_reading_and_lost_news_are_told_as_missed() {
    let bank = statements(30);
    let here = Installation::new(&bank).await;
    let shared = Arc::clone(&here.app.cache);
    let lossy = Lossy::over(&shared);
    let there = here.beside(lossy.clone()).await;
    let work = [&here, &there].map(|at| tokio::spawn(Arc::clone(&at.app).follow_news()));
    let ada = there.learner().await;
    let ada_here = ada.at(&here.anyone());
    let mut device = Events::of(&ada_here, "/v1/live").await;
    device.expect("missed").await;
    let mut sitting = Sitting::begin(&ada, json!({})).await;
    let path = sitting.path("");
    for _ in 0..3 {
        sitting.answer(&bank, true).await;
    }
    let key = lossy.key("state:");
    settled(shared.as_ref(), &key, |kept| kept.as_ref().is_some_and(|(v, _)| *v == 3)).await;
    device.expect("session.changed").await;
    for _ in 0..3 {
        device.expect("answer.committed").await;
    }
    assert_eq!(ada_here.get(&path).await.expect(200)["answered"], 3);

    lossy.lose(true);
    for answered in 4..=9 {
        let reply = sitting.answer(&bank, answered % 2 == 0).await;
        assert_eq!(reply["session"]["answered"], answered);
    }
    let kept = shared.get(&key).await.unwrap().map(|(version, _)| version);
    assert_eq!(kept, Some(3), "what is kept is old, and could not be dropped");
    let mastery = ada.get("/v1/me/mastery").await.expect(200);
    assert_eq!(mastery["overall"]["answers"], 9);

    lossy.lose(false);
    device.expect("missed").await;
    assert_eq!(ada_here.get(&path).await.expect(200)["answered"], 9, "nothing old is shown");
    let submission = sitting.submission(&bank, true);
    let reply = ada_here.post(&sitting.path("/answers"), &submission).await.expect(200);
    assert_eq!(reply["session"]["answered"], 10);
    work.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_erasure_reaches_a_cache_that_was_away_and_nothing_brings_the_state_back() {
    let bank = statements(30);
    let mut installation = Installation::new(&bank).await;
    let shared = Arc::clone(&installation.app.cache);
    let lossy = Lossy::over(&shared);
    installation = installation.beside(lossy.clone()).await;
    let ada = installation.learner().await;
    let me = ada.get("/v1/me").await.expect(200)["learner"].as_str().unwrap().to_owned();
    let mut sitting = Sitting::begin(&ada, json!({})).await;
    for _ in 0..3 {
        sitting.answer(&bank, true).await;
    }
    let key = lossy.key("state:");
    settled(shared.as_ref(), &key, |kept| kept.as_ref().is_some_and(|(v, _)| *v == 3)).await;
    let keys = lossy.keys.lock().unwrap().clone();
    assert!(keys.iter().all(|key| !key.contains(&me)), "{keys:?}");

    lossy.lose(true);
    assert_eq!(ada.delete("/v1/me").await.status, 204);
    assert!(shared.get(&key).await.unwrap().is_some_and(|(version, _)| version == 3));
    let notes = Arc::new(Notes::default());
    let consumers: [Arc<dyn Consumer>; 1] = [notes.clone()];
    while installation.app.deliver_some(&consumers).await.unwrap() > 0 {}
    lossy.lose(false);
    installation.clock.advance(SignedDuration::from_secs(5));
    while installation.app.deliver_some(&consumers).await.unwrap() > 0 {}
    let nothing = Some((LAST, Bytes::new()));
    assert_eq!(shared.get(&key).await.unwrap(), nothing);
    shared.put(&key, 4, Bytes::from("late"), Duration::from_mins(30)).await.unwrap();
    assert_eq!(shared.get(&key).await.unwrap(), nothing);
    let told = notes.0.lock().unwrap().clone();
    assert_eq!(told, [("learner.erased".to_owned(), json!({ "learner": me }))]);
    assert_eq!(installation.app.records.outbox_after(0, 9).await.unwrap(), []);
    assert_eq!(installation.app.records.dead_jobs(None, 9).await.unwrap().items, []);
}

/// Two processes hear of each other and keep the session.
#[tokio::test]
async fn all_processes_forget_an_erased_learner_at_once() {
    let bank = statements(30);
    let here = Installation::new(&bank).await;
    let there = here.beside(Arc::clone(&here.app.cache)).await;
    let work = [&here, &there].map(|at| tokio::spawn(Arc::clone(&at.app).follow_news()));
    let (ada, eve) = (here.learner().await, here.learner().await);
    let (ada_there, eve_there) = (ada.at(&there.anyone()), eve.at(&there.anyone()));
    let mut device = Events::of(&ada_there, "/v1/live").await;
    device.expect("missed").await;
    let (sitting, other) =
        (Sitting::begin(&ada, json!({})).await, Sitting::begin(&eve, json!({})).await);
    device.expect("session.changed").await;
    for (client, sitting) in [(&ada_there, &sitting), (&eve_there, &other)] {
        client.get(&sitting.path("")).await.expect(200);
    }
    assert_eq!(ada.delete("/v1/me").await.status, 204);
    assert_eq!(device.next().await, None, "who listened is let go");
    ada_there.get(&sitting.path("")).await.problem(404);
    ada_there.get(&sitting.path("/next")).await.problem(404);
    eve_there.get(&other.path("")).await.expect(200);
    work.iter().for_each(tokio::task::JoinHandle::abort);
}
