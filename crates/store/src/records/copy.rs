//! The logical content of the records, entry by entry, the same whichever database holds it.

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    encoding::from_json,
    rows::{AnswerRow, EventRow, JobRow, QuestionRow},
    sql::Sql,
};
use crate::{Error, Result};

/// One row of the records. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entry(Kind);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Question(QuestionEntry),
    Analysis(AnalysisEntry),
    Prerequisites(PrerequisitesEntry),
    Learner(LearnerEntry),
    Link(LinkEntry),
    Session(SessionEntry),
    State(StateEntry),
    Answer(AnswerRow),
    Snapshot(SnapshotEntry),
    Event(EventRow),
    Job(JobRow),
    /// The last positions that were given out.
    Sequences(SequencesEntry),
}

/// Declares what is read and written as columns.
macro_rules! entries {
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),+ $(,)? })+) => {
        $(#[derive(Debug, Clone, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
        pub(super) struct $name {
            $($(#[$attribute])* pub $field: $type,)+
        })+
    };
}

entries! {
    QuestionEntry { revision: i64, question: String }
    AnalysisEntry {
        question: String,
        model: String,
        #[serde(with = "base64")] stem_hash: Vec<u8>,
        level: String,
        #[serde(with = "base64")] embedding: Vec<u8>,
    }
    PrerequisitesEntry { version: i64, prerequisites: String }
    LearnerEntry { id: Uuid, created_at: i64 }
    LinkEntry { #[serde(with = "base64")] hash: Vec<u8>, learner: Uuid, role: String, expires: i64 }
    SessionEntry { id: Uuid, learner: Uuid, started_at: i64, version: i64, session: String }
    StateEntry { learner: Uuid, version: i64, #[serde(with = "base64")] state: Vec<u8> }
    SnapshotEntry { version: i64, upto_sequence: i64, #[serde(with = "base64")] snapshot: Vec<u8> }
    SequencesEntry { answers: i64, outbox: i64 }
}

/// Bytes as text.
mod base64 {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(input)?).map_err(D::Error::custom)
    }
}

/// Takes entries as they are read.
pub(super) struct Sink(pub mpsc::Sender<Entry>);

impl Sink {
    pub(super) async fn put(&self, kind: Kind) -> Result<()> {
        let gone = |_| Error::unavailable("the reader of the records", "it takes no more");
        self.0.send(Entry(kind)).await.map_err(gone)
    }
}

/// A connection whose whole content is read or written.
pub(super) trait Copied: Sql {
    /// Finds the last positions that were given out, as columns `answers` and `outbox`.
    const SEQUENCES: &str;

    /// Writes a question at its revision.
    fn put_question(
        &mut self,
        revision: i64,
        row: &QuestionRow<'_>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Completes what was written: the last positions, and what follows from the rest.
    fn complete(&mut self, last: &SequencesEntry) -> impl Future<Output = Result<()>> + Send;
}

/// Reads all tables in the order in which they can be written.
pub(super) async fn read<C: Copied>(connection: &mut C, sink: &Sink) -> Result<()> {
    /// Sends all that a statement finds as entries of a kind.
    macro_rules! send {
        ($($kind:path: $sql:literal),+ $(,)?) => {
            $({
                let mut found = connection.each($sql);
                while let Some(entry) = found.try_next().await? {
                    sink.put($kind(entry)).await?;
                }
            })+
        };
    }
    send! {
        Kind::Question: "SELECT revision, question FROM questions ORDER BY revision",
        Kind::Analysis: "SELECT question, model, stem_hash, level, embedding FROM analyses
            ORDER BY question",
        Kind::Prerequisites: "SELECT version, prerequisites FROM prerequisites",
        Kind::Learner: "SELECT id, created_at FROM learners ORDER BY id",
        Kind::Link: "SELECT hash, learner, role, expires FROM links ORDER BY hash",
        Kind::Session: "SELECT id, learner, started_at, version, session FROM sessions ORDER BY id",
        Kind::State: "SELECT learner, version, state FROM learner_states ORDER BY learner",
        Kind::Answer: "SELECT * FROM answers ORDER BY sequence",
        Kind::Snapshot: "SELECT version, upto_sequence, snapshot FROM snapshots ORDER BY version",
        Kind::Event: "SELECT * FROM outbox ORDER BY sequence",
        Kind::Job: "SELECT * FROM jobs ORDER BY id",
    }
    let last = connection.first(C::SEQUENCES, &[]).await?.ok_or(sqlx::Error::RowNotFound)?;
    sink.put(Kind::Sequences(last)).await
}

/// Writes all entries into records that hold nothing.
pub(super) async fn write(
    connection: &mut impl Copied,
    entries: &mut mpsc::Receiver<Entry>,
) -> Result<()> {
    expect_nothing(connection).await?;
    let mut complete = false;
    while let Some(Entry(kind)) = entries.recv().await {
        put(connection, &kind).await?;
        complete |= matches!(kind, Kind::Sequences(_));
    }
    if complete { Ok(()) } else { Err(Error::invalid("entries", "they end early")) }
}

async fn expect_nothing(connection: &mut impl Sql) -> Result<()> {
    let held: bool = connection
        .one(
            "SELECT EXISTS (SELECT 1 FROM questions) OR EXISTS (SELECT 1 FROM learners)
                 OR EXISTS (SELECT 1 FROM snapshots)",
            &[],
        )
        .await?;
    if held { Err(Error::Conflict("place of the records")) } else { Ok(()) }
}

async fn put(connection: &mut impl Copied, kind: &Kind) -> Result<()> {
    macro_rules! run {
        ($sql:literal, $($value:expr),+ $(,)?) => {
            connection.execute($sql, &[$($value.into()),+]).await?
        };
    }
    match kind {
        Kind::Question(e) => {
            let question = from_json("question", &e.question)?;
            return connection.put_question(e.revision, &QuestionRow::new(&question)?).await;
        }
        Kind::Sequences(last) => return connection.complete(last).await,
        Kind::Analysis(e) => run!(
            "INSERT INTO analyses (question, model, stem_hash, level, embedding)
             VALUES ($1, $2, $3, $4, $5)",
            &e.question,
            &e.model,
            &e.stem_hash[..],
            &e.level,
            &e.embedding[..],
        ),
        Kind::Prerequisites(e) => run!(
            r#"INSERT INTO prerequisites ("only", version, prerequisites) VALUES (1, $1, $2)"#,
            e.version,
            &e.prerequisites,
        ),
        Kind::Learner(e) => {
            run!("INSERT INTO learners (id, created_at) VALUES ($1, $2)", e.id, e.created_at)
        }
        Kind::Link(e) => run!(
            "INSERT INTO links (hash, learner, role, expires) VALUES ($1, $2, $3, $4)",
            &e.hash[..],
            e.learner,
            &e.role,
            e.expires,
        ),
        Kind::Session(e) => run!(
            "INSERT INTO sessions (id, learner, started_at, version, session)
             VALUES ($1, $2, $3, $4, $5)",
            e.id,
            e.learner,
            e.started_at,
            e.version,
            &e.session,
        ),
        Kind::State(e) => run!(
            "INSERT INTO learner_states (learner, version, state) VALUES ($1, $2, $3)",
            e.learner,
            e.version,
            &e.state[..],
        ),
        Kind::Answer(e) => run!(
            "INSERT INTO answers (sequence, id, learner, session, question, skill, response,
                 credit, correct, elapsed_ms, at, predicted, propensity, policy, snapshot, context)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            e.sequence,
            e.id,
            e.learner,
            e.session,
            &e.question,
            &e.skill,
            &e.response,
            e.credit,
            e.correct,
            e.elapsed_ms,
            e.at,
            e.predicted,
            e.propensity,
            &e.policy,
            e.snapshot,
            &e.context,
        ),
        Kind::Snapshot(e) => run!(
            "INSERT INTO snapshots (version, upto_sequence, snapshot) VALUES ($1, $2, $3)",
            e.version,
            e.upto_sequence,
            &e.snapshot[..],
        ),
        Kind::Event(e) => run!(
            "INSERT INTO outbox (sequence, kind, payload, at) VALUES ($1, $2, $3, $4)",
            e.sequence,
            &e.kind,
            &e.payload,
            e.at,
        ),
        Kind::Job(e) => run!(
            "INSERT INTO jobs (id, kind, payload, learner, due, attempts, error, dead)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            e.id,
            &e.kind,
            &e.payload,
            e.learner,
            e.due,
            e.attempts,
            e.error.as_deref(),
            e.dead,
        ),
    };
    Ok(())
}
