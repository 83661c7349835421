//! What a learner may ask for at any time: a copy of everything of theirs, and its removal.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use quizmentor_core::{LearnerId, Timestamp};
use quizmentor_store::{
    Error, Result,
    cache::Cache,
    records::{Event, Records},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{App, hot};

/// Rows read at a time.
const CHUNK: usize = 200;
/// The kind of the event that tells of an erasure. Nothing but the learner's id is in it.
pub(crate) const ERASED: &str = "learner.erased";

/// Sends everything of a learner to `sink`, document by document: the account, each session, each
/// answer, the state of the adaptive engine, and last how many there were of each.
///
/// # Errors
/// `NotFound` without such a learner; when the records fail, or `sink` was closed.
pub async fn export(
    records: Arc<dyn Records>,
    learner: LearnerId,
    sink: mpsc::Sender<Value>,
) -> Result<()> {
    let created = records.learner_created(learner).await?.ok_or(Error::NotFound("learner"))?;
    send(&sink, json!({ "learner": { "id": learner, "created_at": created } })).await?;
    let sessions = send_sessions(records.as_ref(), learner, &sink).await?;
    let answers = send_answers(records.as_ref(), learner, &sink).await?;
    if let Some(state) = records.learner_state(learner).await? {
        let bytes = BASE64_STANDARD.encode(&state.bytes);
        send(&sink, json!({ "state": { "version": state.version, "bytes": bytes } })).await?;
    }
    send(&sink, json!({ "end": { "sessions": sessions, "answers": answers } })).await
}

async fn send_sessions(
    records: &dyn Records,
    learner: LearnerId,
    sink: &mpsc::Sender<Value>,
) -> Result<u64> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = records.sessions_of(learner, after, CHUNK).await?;
        after = page.items.last().map(|session| session.id);
        for session in page.items {
            send(sink, json!({ "session": session })).await?;
            count += 1;
        }
        if !page.more {
            return Ok(count);
        }
    }
}

async fn send_answers(
    records: &dyn Records,
    learner: LearnerId,
    sink: &mpsc::Sender<Value>,
) -> Result<u64> {
    let (mut count, mut after) = (0, 0);
    loop {
        let page = records.answers_of(learner, after, CHUNK).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.sequence;
        for stored in page {
            let answer = stored.answer;
            let document = json!({
                "id": answer.id,
                "session": answer.session,
                "question": answer.question,
                "skill": answer.skill,
                "response": answer.response,
                "credit": answer.credit,
                "correct": answer.correct,
                "elapsed_ms": answer.elapsed_ms,
                "at": answer.at,
                "predicted": answer.predicted,
                "propensity": answer.propensity,
                "policy": answer.policy,
                "snapshot": answer.snapshot,
                "context": answer.context,
            });
            send(sink, json!({ "answer": document })).await?;
            count += 1;
        }
    }
}

async fn send(sink: &mpsc::Sender<Value>, document: Value) -> Result<()> {
    sink.send(document).await.map_err(|error| Error::Unavailable {
        what: "the reader of the export".to_owned(),
        source: error.into(),
    })
}

/// Removes a learner and everything of theirs: from the records with the outbox and the jobs, from
/// the cache, and from what serving processes keep. An event tells of it; should the cache be away,
/// delivering that event makes up for it. The vectors hold nothing of learners, and neither does
/// the learned model.
///
/// # Errors
/// `NotFound` without such a learner; when the records fail.
pub async fn erase(
    records: &dyn Records,
    cache: &dyn Cache,
    learner: LearnerId,
    now: Timestamp,
) -> Result<()> {
    records.erase_learner(learner, &erased(learner, now)).await?;
    if let Err(error) = hot::forget(cache, learner).await {
        tracing::warn!(%error, "what the cache keeps of an erased learner is erased later");
    }
    Ok(())
}

fn erased(learner: LearnerId, at: Timestamp) -> Event {
    Event { kind: ERASED.to_owned(), payload: json!({ "learner": learner }), at }
}

impl App {
    /// As [`erase`], and from what this process keeps even when it hears no news.
    ///
    /// # Errors
    /// As for [`erase`].
    pub async fn erase(&self, learner: LearnerId) -> Result<()> {
        erase(self.records.as_ref(), self.cache.as_ref(), learner, self.clock.now()).await?;
        self.hot.forget_sessions(learner);
        Ok(())
    }
}
