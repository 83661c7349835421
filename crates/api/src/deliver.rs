//! Events of the outbox, told to each consumer at least once.
//!
//! Each event becomes a job for each consumer in the transaction that takes it out of the outbox.
//! Jobs are leased, put off with a growing wait when they fail, and given up in the end; those
//! wait for an admin to revive them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future;
use quizmentor_core::{LearnerId, SignedDuration, Timestamp};
use quizmentor_store::{
    Result,
    records::{Job, NewJob, OutboxEvent},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::{App, privacy::ERASED};

/// How often the outbox and the jobs are looked at when there is nothing to do.
const PERIOD: Duration = Duration::from_millis(500);
/// Events made into jobs at a time.
const EVENTS: usize = 500;
/// Jobs leased at a time, and done at the same time.
const JOBS: usize = 16;
/// A worker that has not said anything for so long has gone.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// Longest time that a consumer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Wait after the first failure; it doubles with each …
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
/// … up to this.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// Tries before a job is given up, within about half a day.
const TRIES: u32 = 20;
/// Names of deliveries are made below this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d0f_4d8e_54a7_4b0e_9c8d_8a17_55aa_3a10);

/// An event on its way to a consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The same each time that the event comes.
    #[serde(skip)]
    pub id: Uuid,
    /// What happened, for instance `answer.committed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The particulars.
    pub data: Value,
}

/// Someone who is told of events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// A short name; the kind of its jobs.
    fn name(&self) -> &'static str;

    /// Whether events of `kind` are for it.
    fn wants(&self, _kind: &str) -> bool {
        true
    }

    /// Takes an event, which may come again with the same id.
    ///
    /// # Errors
    /// Why it could not, for the admin.
    async fn take(&self, delivery: &Delivery, now: Timestamp) -> std::result::Result<(), String>;
}

impl App {
    /// Tells `consumers` of events until dropped.
    pub async fn deliver_events(self: Arc<Self>, consumers: Vec<Arc<dyn Consumer>>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            loop {
                match self.deliver_some(&consumers).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "delivery of events put off");
                        break;
                    }
                }
            }
        }
    }

    /// Tells `consumers`, and what is kept outside of the records, of some of the events that
    /// wait; how many steps were taken, 0 when nothing is due.
    ///
    /// # Errors
    /// When the records fail. What a consumer fails at is noted in its job.
    pub async fn deliver_some(self: &Arc<Self>, consumers: &[Arc<dyn Consumer>]) -> Result<usize> {
        let forgetting = Forgetting(Arc::clone(self));
        let mut all: Vec<&dyn Consumer> = consumers.iter().map(Arc::as_ref).collect();
        all.push(&forgetting);
        let mut steps = self.make_jobs(&all).await?;
        for consumer in all {
            steps += self.do_jobs(consumer).await?;
        }
        Ok(steps)
    }

    async fn make_jobs(&self, consumers: &[&dyn Consumer]) -> Result<usize> {
        let events = self.records.outbox_after(0, EVENTS).await?;
        let Some(last) = events.last() else { return Ok(0) };
        let now = self.clock.now();
        let jobs: Vec<_> = events
            .iter()
            .flat_map(|event| {
                let told = consumers.iter().filter(|consumer| consumer.wants(&event.event.kind));
                told.map(|consumer| job(event, consumer.name(), now))
            })
            .collect();
        self.records.outbox_acknowledge(last.sequence, &jobs).await?;
        Ok(events.len())
    }

    async fn do_jobs(&self, consumer: &dyn Consumer) -> Result<usize> {
        let now = self.clock.now();
        let leased = self.records.lease_jobs(consumer.name(), now, now + LEASE, JOBS).await?;
        let mut work = Vec::with_capacity(leased.len());
        for job in &leased {
            work.push(self.do_job(consumer, job));
        }
        for outcome in future::join_all(work).await {
            outcome?;
        }
        Ok(leased.len())
    }

    async fn do_job(&self, consumer: &dyn Consumer, job: &Job) -> Result<()> {
        let now = self.clock.now();
        let taken = match serde_json::from_value::<Delivery>(job.job.payload.clone()) {
            Ok(delivery) => {
                let delivery = Delivery { id: job.job.id, ..delivery };
                tokio::time::timeout(PATIENCE, consumer.take(&delivery, now))
                    .await
                    .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
            }
            Err(error) => Err(error.to_string()),
        };
        let Err(error) = taken else {
            self.records.finish_job(job).await?;
            return Ok(());
        };
        let retry = (job.attempts < TRIES).then(|| now + wait(job.attempts));
        if retry.is_none() {
            tracing::error!(job = %job.job.id, kind = job.job.kind, error, "job given up");
        }
        self.records.fail_job(job, &error, retry).await?;
        Ok(())
    }
}

/// Makes the cache and all processes forget erased learners, however long the cache was away.
struct Forgetting(Arc<App>);

#[async_trait]
impl Consumer for Forgetting {
    fn name(&self) -> &'static str {
        "forgetting"
    }

    fn wants(&self, kind: &str) -> bool {
        kind == ERASED
    }

    async fn take(&self, delivery: &Delivery, _: Timestamp) -> std::result::Result<(), String> {
        let learner = serde_json::from_value(delivery.data["learner"].clone());
        let learner: LearnerId = learner.map_err(|error| error.to_string())?;
        self.0.hot.forget(learner).await.map_err(|error| error.to_string())
    }
}

fn job(event: &OutboxEvent, consumer: &str, now: Timestamp) -> NewJob {
    let OutboxEvent { sequence, event } = event;
    let delivery = Delivery {
        id: Uuid::nil(),
        kind: event.kind.clone(),
        timestamp: event.at,
        data: event.payload.clone(),
    };
    let name = format!("{consumer} {sequence} {}", event.at.as_microsecond());
    // An erasure is told after the learner has gone.
    let learner = event.payload.get("learner").filter(|_| event.kind != ERASED).cloned();
    NewJob {
        id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        kind: consumer.to_owned(),
        payload: serde_json::to_value(delivery).unwrap_or_default(),
        learner: learner.and_then(|id| serde_json::from_value::<LearnerId>(id).ok()),
        due: now,
    }
}

/// The wait after so many tries, at least one.
fn wait(attempts: u32) -> SignedDuration {
    let factor = 2_i32.saturating_pow(attempts.saturating_sub(1));
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour_and_the_last_try_comes_within_a_day() {
        let waits: Vec<_> = (1..TRIES).map(wait).collect();
        assert_eq!(waits[..3], [5, 10, 20].map(SignedDuration::from_secs));
        assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT));
        let total: i64 = waits.iter().map(SignedDuration::as_secs).sum();
        assert!((8..24).contains(&(total / 3_600)), "{total}");
    }
}
