//! The port of the durable records.
//!
//! Every write is acknowledged only when it would survive a loss of power. Times in fields of
//! their own are kept to the microsecond; finer digits are dropped. Counters and versions stay
//! below 2⁶³.

mod accounts;
mod analyses;
mod answers;
mod copy;
mod diagnosis;
mod encoding;
mod erasure;
mod group;
mod job;
mod jobs;
mod leases;
mod outbox;
mod postgres;
mod prerequisites;
mod questions;
mod rows;
mod sessions;
mod snapshots;
mod sql;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use quizmentor_core::{
    AnswerId, LearnerId, Level, Question, QuestionId, Response, Role, Session, SessionId, SkillId,
    Status, Timestamp,
};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use self::{
    copy::Entry,
    diagnosis::Diagnosis,
    job::{Job, NewJob},
    postgres::{Postgres, PostgresOptions},
    sqlite::Sqlite,
};
use crate::{Error, Result};

/// A part of a longer list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Whether the list goes on after the last item, whose id is the cursor of the next page.
    pub more: bool,
}

impl<T> Page<T> {
    /// The first `limit` of `items`, of which one more than those was looked for.
    fn of(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

/// What a call of [`Records::put_questions`] changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Put {
    /// Questions that are new.
    pub created: usize,
    /// Questions that differ from what was stored before.
    pub updated: usize,
}

/// Which questions are wanted; `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuestionFilter {
    /// Subject slug.
    pub subject: Option<String>,
    /// Skill.
    pub skill: Option<SkillId>,
    /// Level that the author states.
    pub level: Option<Level>,
    /// Status.
    pub status: Option<Status>,
    /// Occurs in title, stem or tags, in any case.
    pub text: Option<String>,
}

/// SHA-256 of a one-time link's secret; the secret itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkHash(pub [u8; 32]);

/// A learner's answer to a question, with the circumstances in which it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Chosen by the client.
    pub id: AnswerId,
    /// Whose it is.
    pub learner: LearnerId,
    /// In which session it was given.
    pub session: SessionId,
    /// What was asked.
    pub question: QuestionId,
    /// The question's skill at that time.
    pub skill: SkillId,
    /// What was answered, positions in the author's order.
    pub response: Response,
    /// Share of the full credit, 0 to 1.
    pub credit: f64,
    /// Whether the credit is full.
    pub correct: bool,
    /// Time from showing the question to the answer in milliseconds, where known.
    pub elapsed_ms: Option<u32>,
    /// When it was given.
    pub at: Timestamp,
    /// Predicted probability of a right answer, 0 to 1.
    pub predicted: f64,
    /// Probability with which the policy chose the question, in (0, 1].
    pub propensity: f64,
    /// Name and version of the policy that chose the question; at most [`MAX_POLICY`] bytes.
    pub policy: String,
    /// Version of the adaptive model that was used.
    pub snapshot: u64,
    /// What the adaptive engine knew of the question and of its choice when it was asked, so that
    /// states can be learned anew although questions have changed since.
    pub context: serde_json::Value,
}

/// Longest name of a policy in bytes.
pub const MAX_POLICY: usize = 64;

/// An answer as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAnswer {
    /// Position among the answers of all learners, from 1; grows with each.
    pub sequence: u64,
    /// The answer.
    pub answer: Answer,
}

impl StoredAnswer {
    /// What it comes to when `learner` gives an answer with the same id.
    fn given_again_by(self, learner: LearnerId) -> Result<CommitOutcome> {
        if self.answer.learner == learner {
            Ok(CommitOutcome::Duplicate(Box::new(self)))
        } else {
            Err(Error::Conflict("answer id"))
        }
    }
}

/// A learner's encoded state. Versions begin with 1 and grow by one with each change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedState {
    /// Guards against lost updates.
    pub version: u64,
    /// As encoded by the adaptive engine.
    pub bytes: Vec<u8>,
}

/// Something that others are to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened, for instance `answer.committed`.
    pub kind: String,
    /// The particulars.
    pub payload: serde_json::Value,
    /// When it happened.
    pub at: Timestamp,
}

/// An event that waits in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// Position among all events, from 1; grows with each.
    pub sequence: u64,
    /// The event.
    pub event: Event,
}

/// An answer and all that changes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerCommit {
    /// The answer; its session and learner are those of `session`.
    pub answer: Answer,
    /// The session after the answer, its version one above the stored one.
    pub session: Session,
    /// The learner's state after the answer, its version one above the stored one.
    pub state: VersionedState,
    /// What the outbox gets.
    pub event: Event,
}

/// What became of an [`AnswerCommit`].
#[derive(Debug, Clone, PartialEq)]
pub enum CommitOutcome {
    /// All of it is stored.
    Committed {
        /// The answer's position among all answers.
        sequence: u64,
    },
    /// The answer's id was stored before; nothing was changed.
    Duplicate(Box<StoredAnswer>),
    /// Session or learner state were changed since they were read; nothing was changed.
    Conflict,
}

/// What the Bloom engine found in a question's stem.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The question.
    pub question: QuestionId,
    /// Version of the Bloom model.
    pub model: String,
    /// SHA-256 of the stem that was read.
    pub stem_hash: [u8; 32],
    /// The most probable level.
    pub level: Level,
    /// For search by meaning.
    pub embedding: Vec<f32>,
}

/// Which skills are to be mastered before which others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prerequisites {
    /// 0 before the first change; grows by one with each.
    pub version: u64,
    /// Skills with their direct prerequisites.
    pub of: BTreeMap<SkillId, BTreeSet<SkillId>>,
}

/// A snapshot of the adaptive model, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Grows with each snapshot.
    pub version: u64,
    /// Sequence of the last answer that it has learned from; 0 for none.
    pub upto_sequence: u64,
}

/// A snapshot of the adaptive model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which one.
    pub info: SnapshotInfo,
    /// As encoded by the adaptive engine.
    pub bytes: Vec<u8>,
}

/// The durable records.
///
/// Every method fails with [`Unavailable`](crate::Error::Unavailable) when the store does not
/// answer, [`Corrupt`](crate::Error::Corrupt) when it holds what cannot be read, and
/// [`Full`](crate::Error::Full) when there is no room; each names its further errors.
/// Lists are cut at `limit`, which the caller chooses; 0 gives an empty one.
#[async_trait]
pub trait Records: Send + Sync {
    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;

    /// Closes all connections; what is under way ends first. Later calls fail.
    async fn close(&self);

    /// Stores `questions` by id, all or none; where an id repeats, the last one stays. A question
    /// equal to the stored one is left alone; every other gets the next revision.
    ///
    /// # Errors
    /// `Invalid` when a question holds a number that is not finite.
    async fn put_questions(&self, questions: &[Question]) -> Result<Put>;

    /// The question with that id.
    async fn question(&self, id: &QuestionId) -> Result<Option<Question>>;

    /// Questions that match, in order of their ids, from the one after `after`.
    async fn questions(
        &self,
        filter: &QuestionFilter,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Page<Question>>;

    /// Questions whose last change came after `after_revision`, in order of their revisions,
    /// which begin with 1. A question that changed several times comes once. A revision is
    /// visible only when all smaller ones are.
    async fn question_changes(
        &self,
        after_revision: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Question)>>;

    /// How many questions match.
    async fn count_questions(&self, filter: &QuestionFilter) -> Result<u64>;

    /// Stores what was found in questions, all or none; each takes the place of what was found
    /// in its question before.
    ///
    /// # Errors
    /// `NotFound` when a question does not exist.
    async fn put_analyses(&self, analyses: &[Analysis]) -> Result<()>;

    /// What `model` found, in order of the questions' ids, from the one after `after`.
    async fn analyses(
        &self,
        model: &str,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Vec<Analysis>>;

    /// The prerequisites of all skills; none, at version 0, before the first change.
    async fn prerequisites(&self) -> Result<Prerequisites>;

    /// Replaces the prerequisites of all skills by their next version.
    ///
    /// # Errors
    /// `Conflict` unless its version is one above the stored one.
    async fn put_prerequisites(&self, next: &Prerequisites) -> Result<()>;

    /// Adds a learner.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    async fn create_learner(&self, id: LearnerId, at: Timestamp) -> Result<()>;

    /// Whether there is such a learner.
    async fn learner_exists(&self, id: LearnerId) -> Result<bool>;

    /// Adds a one-time link that signs its holder in as `learner` with `role` before `expires`.
    ///
    /// # Errors
    /// `NotFound` without such a learner, `Conflict` when the hash is taken.
    async fn create_link(
        &self,
        hash: LinkHash,
        role: Role,
        learner: LearnerId,
        expires: Timestamp,
    ) -> Result<()>;

    /// Uses a link up: of any number of calls with a hash, at most one gets the account. `None`
    /// for a link that is unknown, used or expired.
    async fn redeem_link(
        &self,
        hash: LinkHash,
        now: Timestamp,
    ) -> Result<Option<(LearnerId, Role)>>;

    /// Adds a session.
    ///
    /// # Errors
    /// `NotFound` without its learner, `Conflict` when the id is taken, `Invalid` when it holds
    /// a number that is not finite.
    async fn create_session(&self, session: &Session) -> Result<()>;

    /// The session with that id.
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;

    /// Replaces a session by its next version.
    ///
    /// # Errors
    /// `NotFound` when the learner has no such session, `Conflict` unless its version is one
    /// above the stored one, `Invalid` as for [`create_session`](Self::create_session).
    async fn update_session(&self, session: &Session) -> Result<()>;

    /// A learner's sessions, the latest first, from the one after `after`.
    ///
    /// # Errors
    /// `NotFound` when `after` is no session of the learner.
    async fn sessions_of(
        &self,
        learner: LearnerId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Page<Session>>;

    /// Stores an answer, its session, the learner's state and an event, all or none. An answer
    /// id that the learner used before gives `Duplicate`, whatever the rest of `commit` says.
    ///
    /// # Errors
    /// `Conflict` when the answer's id is another learner's; `NotFound` when the learner has no
    /// such session or the question does not exist; `Invalid` when answer and session belong to
    /// different learners or sessions, or a value is out of its range.
    async fn commit_answer(&self, commit: &AnswerCommit) -> Result<CommitOutcome>;

    /// The answer with that id.
    async fn answer(&self, id: AnswerId) -> Result<Option<StoredAnswer>>;

    /// A learner's answers after `after_sequence`, in order.
    async fn answers_of(
        &self,
        learner: LearnerId,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<StoredAnswer>>;

    /// All answers after `after_sequence`, in order. A sequence is visible only when all smaller
    /// ones are.
    async fn answers_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<StoredAnswer>>;

    /// A learner's state; `None` before the first answer.
    async fn learner_state(&self, learner: LearnerId) -> Result<Option<VersionedState>>;

    /// Adds a snapshot of the adaptive model.
    ///
    /// # Errors
    /// `Conflict` unless its version is above all stored ones.
    async fn put_snapshot(&self, info: SnapshotInfo, bytes: &[u8]) -> Result<()>;

    /// Empties the bytes of the snapshots below `version`; which answers they had learned from
    /// stays known.
    async fn empty_snapshots_below(&self, version: u64) -> Result<()>;

    /// The snapshot with the greatest version.
    async fn latest_snapshot(&self) -> Result<Option<Snapshot>>;

    /// The snapshot with the greatest version, without its bytes.
    async fn latest_snapshot_info(&self) -> Result<Option<SnapshotInfo>>;

    /// All snapshots, the greatest version first.
    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>>;

    /// Events after `after_sequence` that were not acknowledged, in order.
    async fn outbox_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<OutboxEvent>>;

    /// Makes room for the answers of the months from `now` on, where months have room of their
    /// own; done again and again, it keeps ahead of the time.
    async fn prepare_months(&self, now: Timestamp) -> Result<()>;

    /// Removes for good the answers of the months, in UTC, that had ended at `before`. Sessions
    /// and states that came of them stay. What was removed when a call fails stays removed.
    async fn drop_months(&self, before: Timestamp) -> Result<()>;

    /// Removes the events up to and including `upto_sequence` and adds the jobs that come of
    /// them, all or none. A job whose id is there already stays as it is; one of a learner who is
    /// gone is not added.
    async fn outbox_acknowledge(&self, upto_sequence: u64, jobs: &[NewJob]) -> Result<()>;

    /// Leases jobs of `kind` that are due at `now`, the longest due first, until `until`; after
    /// that they are due again. Of callers at the same time each gets others.
    async fn lease_jobs(
        &self,
        kind: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>>;

    /// Removes a job that is done; `false` when its lease has passed to another.
    async fn finish_job(&self, job: &Job) -> Result<bool>;

    /// Notes why a job failed, and when it is due again; `None` gives it up. `false` when its
    /// lease has passed to another.
    async fn fail_job(&self, job: &Job, error: &str, retry: Option<Timestamp>) -> Result<bool>;

    /// Jobs that were given up, in order of their ids, from the one after `after`.
    async fn dead_jobs(&self, after: Option<Uuid>, limit: usize) -> Result<Page<Job>>;

    /// Makes the job that was given up with the id `only`, or all of them, due at `now` as if
    /// they were new; how many.
    async fn revive_jobs(&self, only: Option<Uuid>, now: Timestamp) -> Result<u64>;

    /// Takes or renews the lease `name` until `until`, if at `now` it is free or `holder` has it;
    /// whether `holder` has it now. Of callers at the same time one gets it.
    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool>;

    /// When a learner was created; `None` without such a learner.
    async fn learner_created(&self, id: LearnerId) -> Result<Option<Timestamp>>;

    /// Removes a learner and everything of theirs: links, sessions, answers, state, and the
    /// events and jobs that tell of them. The outbox gets `event`, which tells of that.
    ///
    /// # Errors
    /// `NotFound` without such a learner.
    async fn erase_learner(&self, id: LearnerId, event: &Event) -> Result<()>;

    /// Sends everything as it is at one moment to `sink`, in the order in which it can be loaded.
    async fn dump(&self, sink: mpsc::Sender<Entry>) -> Result<()>;

    /// Fills empty records with what was dumped from others, all or none.
    ///
    /// # Errors
    /// `Conflict` when the records hold anything; `Invalid` when the last entry is missing.
    async fn load(&self, entries: mpsc::Receiver<Entry>) -> Result<()>;
}
