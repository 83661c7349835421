//! Values of the domain as the columns that every database of records holds.

use quizmentor_core::{
    AnswerId, LearnerId, Level, Question, QuestionId, Session, SessionId, SkillId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Answer, AnswerCommit, Event, Job, MAX_POLICY, NewJob, OutboxEvent, SnapshotInfo, StoredAnswer,
    encoding::{from_int, from_json, time, to_int, to_json, to_name},
};
use crate::{Error, Result};

/// A question's columns.
pub(super) struct QuestionRow<'a> {
    pub question: &'a Question,
    pub level: Option<&'static str>,
    pub status: String,
    /// Title, stem and tags in lower case.
    pub search: String,
    pub json: String,
}

impl<'a> QuestionRow<'a> {
    pub(super) fn new(question: &'a Question) -> Result<Self> {
        let text = format!("{}\n{}\n{}", question.title, question.stem, question.tags.join("\n"));
        Ok(Self {
            question,
            level: question.level.map(Level::name),
            status: to_name("status", &question.status)?,
            search: folded(&text),
            json: to_json("question", question)?,
        })
    }
}

/// `text` in lower case, each character by itself: what is found does not depend on what stands
/// around it.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A session's columns.
pub(super) struct SessionRow {
    pub id: Uuid,
    pub learner: Uuid,
    pub started_at: i64,
    pub version: i64,
    pub json: String,
}

impl SessionRow {
    pub(super) fn new(session: &Session) -> Result<Self> {
        Ok(Self {
            id: session.id.0,
            learner: session.learner.0,
            started_at: session.started_at.as_microsecond(),
            version: to_int("version of the session", session.version)?,
            json: to_json("session", session)?,
        })
    }
}

/// The columns of an answer and of all that changes with it; every value is in its range.
pub(super) struct CommitRow {
    pub id: Uuid,
    pub learner: Uuid,
    pub question: String,
    pub skill: String,
    pub response: String,
    pub credit: f64,
    pub correct: bool,
    pub elapsed_ms: Option<i64>,
    pub at: i64,
    pub predicted: f64,
    pub propensity: f64,
    pub policy: String,
    pub snapshot: i64,
    pub context: String,
    pub session: SessionRow,
    pub state_version: i64,
    pub state: Vec<u8>,
    pub event_kind: String,
    pub event_payload: String,
    pub event_at: i64,
}

impl CommitRow {
    pub(super) fn new(commit: &AnswerCommit) -> Result<Self> {
        check(commit)?;
        let AnswerCommit { answer, session, state, event } = commit;
        Ok(Self {
            id: answer.id.0,
            learner: answer.learner.0,
            question: answer.question.to_string(),
            skill: answer.skill.to_string(),
            response: to_json("response", &answer.response)?,
            credit: answer.credit,
            correct: answer.correct,
            elapsed_ms: answer.elapsed_ms.map(i64::from),
            at: answer.at.as_microsecond(),
            predicted: answer.predicted,
            propensity: answer.propensity,
            policy: answer.policy.clone(),
            snapshot: to_int("snapshot", answer.snapshot)?,
            context: to_json("context", &answer.context)?,
            session: SessionRow::new(session)?,
            state_version: to_int("version of the learner's state", state.version)?,
            state: state.bytes.clone(),
            event_kind: event.kind.clone(),
            event_payload: to_json("event", &event.payload)?,
            event_at: event.at.as_microsecond(),
        })
    }
}

impl CommitRow {
    /// Whether `answer`, which has the same id, is the one of this row.
    pub(super) fn is(&self, answer: &Answer) -> bool {
        (self.learner, self.session.id, self.at)
            == (answer.learner.0, answer.session.0, answer.at.as_microsecond())
            && self.question == answer.question.as_str()
    }
}

fn check(commit: &AnswerCommit) -> Result<()> {
    let AnswerCommit { answer, session, .. } = commit;
    if (answer.learner, answer.session) != (session.learner, session.id) {
        return Err(Error::invalid("session", "is not the one of the answer"));
    }
    for (what, value) in [("credit", answer.credit), ("predicted", answer.predicted)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::invalid(what, format!("{value} is not in 0 to 1")));
        }
    }
    if !(answer.propensity > 0.0 && answer.propensity <= 1.0) {
        return Err(Error::invalid(
            "propensity",
            format!("{} is not above 0 and at most 1", answer.propensity),
        ));
    }
    if answer.policy.len() > MAX_POLICY {
        return Err(Error::invalid(
            "policy",
            format!("{} bytes long; at most {MAX_POLICY} are allowed", answer.policy.len()),
        ));
    }
    Ok(())
}

/// An answer as it is read.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
pub(super) struct AnswerRow {
    pub sequence: i64,
    pub id: Uuid,
    pub learner: Uuid,
    pub session: Uuid,
    pub question: String,
    pub skill: String,
    pub response: String,
    pub credit: f64,
    pub correct: bool,
    pub elapsed_ms: Option<i64>,
    pub at: i64,
    pub predicted: f64,
    pub propensity: f64,
    pub policy: String,
    pub snapshot: i64,
    pub context: String,
}

impl AnswerRow {
    pub(super) fn decode(self) -> Result<StoredAnswer> {
        let answer = Answer {
            id: AnswerId(self.id),
            learner: LearnerId(self.learner),
            session: SessionId(self.session),
            question: QuestionId::new(self.question)
                .map_err(|e| Error::corrupt("question of an answer", e))?,
            skill: SkillId::new(self.skill).map_err(|e| Error::corrupt("skill of an answer", e))?,
            response: from_json("response", &self.response)?,
            credit: self.credit,
            correct: self.correct,
            elapsed_ms: self.elapsed_ms.map(|ms| from_int("elapsed_ms", ms)).transpose()?,
            at: time("time of an answer", self.at)?,
            predicted: self.predicted,
            propensity: self.propensity,
            policy: self.policy,
            snapshot: from_int("snapshot of an answer", self.snapshot)?,
            context: from_json("context of an answer", &self.context)?,
        };
        Ok(StoredAnswer { sequence: from_int("sequence", self.sequence)?, answer })
    }
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
pub(super) struct EventRow {
    pub sequence: i64,
    pub kind: String,
    pub payload: String,
    pub at: i64,
}

impl EventRow {
    pub(super) fn decode(self) -> Result<OutboxEvent> {
        let payload = from_json("event", &self.payload)?;
        let event = Event { kind: self.kind, payload, at: time("time of an event", self.at)? };
        Ok(OutboxEvent { sequence: from_int("sequence", self.sequence)?, event })
    }
}

pub(super) fn snapshot_info(version: i64, upto_sequence: i64) -> Result<SnapshotInfo> {
    Ok(SnapshotInfo {
        version: from_int("version of a snapshot", version)?,
        upto_sequence: from_int("sequence of a snapshot", upto_sequence)?,
    })
}

/// A job as it is read.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
pub(super) struct JobRow {
    pub id: Uuid,
    pub kind: String,
    pub payload: String,
    pub learner: Option<Uuid>,
    pub due: i64,
    pub attempts: i64,
    pub error: Option<String>,
    pub dead: bool,
}

impl JobRow {
    pub(super) fn decode(self) -> Result<Job> {
        let job = NewJob {
            id: self.id,
            kind: self.kind,
            payload: from_json("payload of a job", &self.payload)?,
            learner: self.learner.map(LearnerId),
            due: time("time of a job", self.due)?,
        };
        Ok(Job { job, attempts: from_int("attempts of a job", self.attempts)?, error: self.error })
    }
}
