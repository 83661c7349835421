//! The logical content of the records, entry by entry, the same whichever database holds it.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    encoding::from_json,
    rows::{AnswerRow, EventRow, JobRow},
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

impl Entry {
    pub(super) fn into_kind(self) -> Kind {
        self.0
    }
}

impl QuestionEntry {
    pub(super) fn question(&self) -> Result<quizmentor_core::Question> {
        from_json("question", &self.question)
    }
}

/// Sends all that `$sql` finds to `$sink`.
macro_rules! read_entries {
    ($connection:ident, $sink:ident, $entry:ty, $kind:path, $sql:literal) => {
        let mut found = sqlx::query_as::<_, $entry>($sql).fetch(&mut *$connection);
        while let Some(entry) = found.try_next().await? {
            $sink.put($kind(entry)).await?;
        }
        drop(found);
    };
}
pub(super) use read_entries;

/// Runs `$sql` with the values.
macro_rules! insert_entry {
    ($connection:ident, $sql:literal, $($value:expr),+ $(,)?) => {
        sqlx::query($sql)$(.bind($value))+.execute($connection).await?
    };
}
pub(super) use insert_entry;

/// What both databases do in the same words. `$connection` is the type of a connection.
macro_rules! copying {
    ($connection:ty) => {
        use futures_util::TryStreamExt;

        use crate::{
            Result,
            records::copy::{
                AnalysisEntry, Kind, LearnerEntry, LinkEntry, PrerequisitesEntry, QuestionEntry,
                SequencesEntry, SessionEntry, Sink, SnapshotEntry, StateEntry, insert_entry,
                read_entries,
            },
            records::rows::{AnswerRow, EventRow, JobRow},
        };

        /// Reads all tables in the order in which they can be written.
        async fn read_all(connection: &mut $connection, sink: &Sink) -> Result<()> {
            read_entries!(
                connection, sink,
                QuestionEntry,
                Kind::Question,
                "SELECT revision, question FROM questions ORDER BY revision"
            );
            read_entries!(
                connection, sink,
                AnalysisEntry,
                Kind::Analysis,
                "SELECT question, model, stem_hash, level, embedding FROM analyses ORDER BY question"
            );
            read_entries!(
                connection, sink,
                PrerequisitesEntry,
                Kind::Prerequisites,
                "SELECT version, prerequisites FROM prerequisites"
            );
            read_entries!(connection, sink, LearnerEntry, Kind::Learner, "SELECT id, created_at FROM learners ORDER BY id");
            read_entries!(
                connection, sink,
                LinkEntry,
                Kind::Link,
                "SELECT hash, learner, role, expires FROM links ORDER BY hash"
            );
            read_entries!(
                connection, sink,
                SessionEntry,
                Kind::Session,
                "SELECT id, learner, started_at, version, session FROM sessions ORDER BY id"
            );
            read_entries!(
                connection, sink,
                StateEntry,
                Kind::State,
                "SELECT learner, version, state FROM learner_states ORDER BY learner"
            );
            read_entries!(connection, sink, AnswerRow, Kind::Answer, "SELECT * FROM answers ORDER BY sequence");
            read_entries!(
                connection, sink,
                SnapshotEntry,
                Kind::Snapshot,
                "SELECT version, upto_sequence, snapshot FROM snapshots ORDER BY version"
            );
            read_entries!(connection, sink, EventRow, Kind::Event, "SELECT * FROM outbox ORDER BY sequence");
            read_entries!(connection, sink, JobRow, Kind::Job, "SELECT * FROM jobs ORDER BY id");
            let sequences: SequencesEntry =
                sqlx::query_as(SEQUENCES).fetch_one(&mut *connection).await?;
            sink.put(Kind::Sequences(sequences)).await
        }

        /// Writes an entry that every database takes in the same way.
        async fn write(connection: &mut $connection, kind: &Kind) -> Result<()> {
            match kind {
                Kind::Question(_) | Kind::Sequences(_) => return Ok(()),
                Kind::Analysis(e) => insert_entry!(connection,
                    "INSERT INTO analyses (question, model, stem_hash, level, embedding)
                     VALUES ($1, $2, $3, $4, $5)",
                    &e.question, &e.model, &e.stem_hash, &e.level, &e.embedding
                ),
                Kind::Prerequisites(e) => insert_entry!(connection,
                    r#"INSERT INTO prerequisites ("only", version, prerequisites)
                       VALUES (1, $1, $2)"#,
                    e.version, &e.prerequisites
                ),
                Kind::Learner(e) => insert_entry!(connection,
                    "INSERT INTO learners (id, created_at) VALUES ($1, $2)",
                    e.id, e.created_at
                ),
                Kind::Link(e) => insert_entry!(connection,
                    "INSERT INTO links (hash, learner, role, expires) VALUES ($1, $2, $3, $4)",
                    &e.hash, e.learner, &e.role, e.expires
                ),
                Kind::Session(e) => insert_entry!(connection,
                    "INSERT INTO sessions (id, learner, started_at, version, session)
                     VALUES ($1, $2, $3, $4, $5)",
                    e.id, e.learner, e.started_at, e.version, &e.session
                ),
                Kind::State(e) => insert_entry!(connection,
                    "INSERT INTO learner_states (learner, version, state) VALUES ($1, $2, $3)",
                    e.learner, e.version, &e.state
                ),
                Kind::Answer(e) => insert_entry!(connection,
                    "INSERT INTO answers (sequence, id, learner, session, question, skill,
                         response, credit, correct, elapsed_ms, at, predicted, propensity, policy,
                         snapshot, context)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                         $16)",
                    e.sequence, e.id, e.learner, e.session, &e.question, &e.skill, &e.response,
                    e.credit, e.correct, e.elapsed_ms, e.at, e.predicted, e.propensity, &e.policy,
                    e.snapshot, &e.context
                ),
                Kind::Snapshot(e) => insert_entry!(connection,
                    "INSERT INTO snapshots (version, upto_sequence, snapshot) VALUES ($1, $2, $3)",
                    e.version, e.upto_sequence, &e.snapshot
                ),
                Kind::Event(e) => insert_entry!(connection,
                    "INSERT INTO outbox (sequence, kind, payload, at) VALUES ($1, $2, $3, $4)",
                    e.sequence, &e.kind, &e.payload, e.at
                ),
                Kind::Job(e) => insert_entry!(connection,
                    "INSERT INTO jobs (id, kind, payload, learner, due, attempts, error, dead)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    e.id, &e.kind, &e.payload, e.learner, e.due, e.attempts, &e.error, e.dead
                ),
            };
            Ok(())
        }

        /// Refuses to write into records that hold anything.
        async fn expect_nothing(connection: &mut $connection) -> Result<()> {
            let held: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM questions) OR EXISTS (SELECT 1 FROM learners)
                     OR EXISTS (SELECT 1 FROM snapshots)",
            )
            .fetch_one(connection)
            .await?;
            if held { Err(crate::Error::Conflict("place of the records")) } else { Ok(()) }
        }
    };
}
pub(super) use copying;
