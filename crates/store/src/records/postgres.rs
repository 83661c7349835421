//! The records in PostgreSQL 15 or newer.
//!
//! Each call holds one connection and mostly makes one round trip. Answers that come while others
//! are being stored are stored together.

mod answers;
mod copy;
mod options;
mod outbox;
mod pool;
mod questions;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use quizmentor_core::{
    AnswerId, LearnerId, Question, QuestionId, Role, Session, SessionId, Timestamp,
};
use sqlx::{Connection, PgConnection, migrate::Migrator};
use tokio::{sync::mpsc, time::timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;

pub use self::options::PostgresOptions;
use self::pool::{Pool, is_lost};
use super::{
    Analysis, AnswerCommit, CommitOutcome, Diagnosis, Entry, Event, Job, LinkHash, NewJob,
    OutboxEvent, Page, Prerequisites, Put, QuestionFilter, Records, Snapshot, SnapshotInfo,
    StoredAnswer, VersionedState, accounts, analyses,
    copy::Sink,
    encoding::{error_at, migration_error, time},
    erasure,
    group::Group,
    jobs, leases, prerequisites,
    rows::{CommitRow, QuestionRow, SessionRow},
    sessions, snapshots,
    sql::Sql,
};
use crate::{Error, Result};

/// Longest time of a call that reads; the server gives up a little before.
const READ: Duration = Duration::from_secs(6);
/// Longest time of a call that writes; one may have many statements.
const WRITE: Duration = Duration::from_secs(30);
/// How long an answer may wait for its turn and be stored.
const PATIENCE: Duration = Duration::from_secs(9);
/// While one of them waits for the disk, another sends the next answers.
const WRITERS: usize = 3;
/// Longest time to connect and to wait for another process that migrates.
const MIGRATION_LOCK: &str = "60s";
/// Months ahead, the present one included, for whose answers there is a place.
const MONTHS_AHEAD: i32 = 3;
/// Whoever would add something for the learner waits, and then finds nobody; what answers under way
/// have added is seen once their state is free. The ids are found by the answers' index.
const ERASE_FIRST: [&str; 3] = [
    "SELECT FROM learners WHERE id = $1 FOR UPDATE",
    "DELETE FROM learner_states WHERE learner = $1",
    "DELETE FROM answer_ids WHERE id IN (SELECT id FROM answers WHERE learner = $1)",
];
/// What changes the partitions of the answers is not to hold up those who answer.
const HASTE: &str = "SET LOCAL lock_timeout = '500ms'";

/// Runs `$work` on a leased connection within `$limit`.
macro_rules! attempt {
    ($lease:expr, $limit:expr, $connection:ident => $work:expr) => {{
        let mut lease = $lease;
        let $connection = lease.connection();
        let outcome = timeout($limit, async { $work.await }).await;
        lease.end(outcome)
    }};
}

/// Runs `$work`, which changes nothing, and once more when the connection turns out to be lost.
/// `$name` is the method of the records that does it.
macro_rules! read {
    ($self:ident.$name:ident, $connection:ident => $work:expr) => {
        async {
            match attempt!($self.pool.lease().await?, READ, $connection => $work) {
                Err(error) if is_lost(&error) => {
                    attempt!($self.pool.fresh().await?, READ, $connection => $work)
                }
                done => done,
            }
        }
        .instrument(span(stringify!($name)))
        .await
    };
}

/// Runs `$work` once, on a connection that lives.
macro_rules! write {
    ($self:ident.$name:ident, $connection:ident => $work:expr) => {
        async { attempt!($self.pool.fresh().await?, WRITE, $connection => $work) }
            .instrument(span(stringify!($name)))
            .await
    };
}

fn span(operation: &'static str) -> Span {
    tracing::info_span!("postgres", operation, otel.kind = "client")
}

/// The records in a PostgreSQL database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: Pool,
    answers: Arc<Group<CommitRow, CommitOutcome>>,
}

impl Postgres {
    /// Connects and brings the database to the present schema; the database must exist.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached, refuses, or cannot migrate; the error
    /// names the place.
    pub async fn open(options: &PostgresOptions) -> Result<Self> {
        Self::migrate(options).await?;
        let pool = Pool::new(&options.options, options.connections);
        let writers = (0..WRITERS).map(|_| answers::Writer(pool.clone()));
        let answers = Arc::new(Group::new(writers, PATIENCE));
        Ok(Self { pool, answers })
    }

    /// Brings the database to the present schema and makes room for the coming months' answers.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn migrate(options: &PostgresOptions) -> Result<()> {
        let at_place = |error| error_at(&options.place(), error);
        let mut connection = options.connect(&[("lock_timeout", MIGRATION_LOCK)]).await?;
        let migrated = migrations().run(&mut connection).await.map_err(migration_error);
        migrated.map_err(at_place)?;
        answers::prepare(&mut connection, Timestamp::now()).await?;
        // What was done is done, however the server takes the farewell.
        let _ = connection.close().await;
        Ok(())
    }
}

impl Postgres {
    /// Tells the state of the database without changing it.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached or refuses.
    pub async fn diagnose(options: &PostgresOptions) -> Result<Diagnosis> {
        let mut connection = options.connect(&[("statement_timeout", "5s")]).await?;
        let (version, now, migrated): (String, i64, bool) = sqlx::query_as(
            "SELECT current_setting('server_version'),
                 (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                 to_regclass('_sqlx_migrations') IS NOT NULL",
        )
        .fetch_one(&mut connection)
        .await?;
        let made = if migrated { made(&mut connection).await? } else { vec![] };
        let diagnosis = Diagnosis::new(format!("PostgreSQL {version}"), &migrations(), &made);
        Ok(Diagnosis {
            now: Some(time("the database's clock", now)?),
            missing_months: Some(missing_months(&mut connection).await?),
            ..diagnosis
        })
    }
}

async fn made(connection: &mut PgConnection) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(connection)
        .await?)
}

/// Of the present month and the next, those without a partition.
async fn missing_months(connection: &mut PgConnection) -> Result<Vec<String>> {
    let sql = "SELECT to_char(month, 'YYYY-MM')
         FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AS present) AS time,
             generate_series(present, present + interval '1 month', interval '1 month') AS month
         WHERE to_regclass('answers_' || to_char(month, 'YYYY_MM')) IS NULL";
    let missing: Vec<(String,)> = connection.all(sql, &[]).await?;
    Ok(missing.into_iter().map(|(month,)| month).collect())
}

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // A release may find those of the next one, which leave it working.
    migrations.set_ignore_missing(true);
    migrations
}

#[async_trait]
impl Records for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    async fn ping(&self) -> Result<()> {
        read!(self.ping, connection => async {
            sqlx::query("SELECT 1").execute(connection).await?;
            Ok(())
        })
    }

    async fn close(&self) {
        self.answers.close().await;
        self.pool.close().await;
    }

    async fn put_questions(&self, questions: &[Question]) -> Result<Put> {
        let rows = questions.iter().map(QuestionRow::new).collect::<Result<Vec<_>>>()?;
        write!(self.put_questions, connection => questions::put(connection, &rows))
    }

    async fn question(&self, id: &QuestionId) -> Result<Option<Question>> {
        read!(self.question, connection => super::questions::get(connection, id))
    }

    async fn questions(
        &self,
        filter: &QuestionFilter,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Page<Question>> {
        read!(self.questions, connection =>
            super::questions::page(connection, filter, after, limit))
    }

    async fn question_changes(
        &self,
        after_revision: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Question)>> {
        read!(self.question_changes, connection =>
            super::questions::changes(connection, after_revision, limit))
    }

    async fn count_questions(&self, filter: &QuestionFilter) -> Result<u64> {
        read!(self.count_questions, connection => super::questions::count(connection, filter))
    }

    async fn put_analyses(&self, analyses: &[Analysis]) -> Result<()> {
        write!(self.put_analyses, connection => async {
            let mut transaction = connection.begin().await?;
            analyses::put(&mut *transaction, analyses).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    async fn analyses(
        &self,
        model: &str,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Vec<Analysis>> {
        read!(self.analyses, connection => analyses::page(connection, model, after, limit))
    }

    async fn prerequisites(&self) -> Result<Prerequisites> {
        read!(self.prerequisites, connection => prerequisites::get(connection))
    }

    async fn put_prerequisites(&self, next: &Prerequisites) -> Result<()> {
        write!(self.put_prerequisites, connection => prerequisites::put(connection, next))
    }

    async fn create_learner(&self, id: LearnerId, at: Timestamp) -> Result<()> {
        write!(self.create_learner, connection => accounts::create_learner(connection, id, at))
    }

    async fn learner_exists(&self, id: LearnerId) -> Result<bool> {
        read!(self.learner_exists, connection => accounts::learner_exists(connection, id))
    }

    async fn create_link(
        &self,
        hash: LinkHash,
        role: Role,
        learner: LearnerId,
        expires: Timestamp,
    ) -> Result<()> {
        write!(self.create_link, connection =>
            accounts::create_link(connection, hash, role, learner, expires))
    }

    async fn redeem_link(
        &self,
        hash: LinkHash,
        now: Timestamp,
    ) -> Result<Option<(LearnerId, Role)>> {
        write!(self.redeem_link, connection => accounts::redeem_link(connection, hash, now))
    }

    async fn create_session(&self, session: &Session) -> Result<()> {
        let row = SessionRow::new(session)?;
        write!(self.create_session, connection => sessions::create(connection, &row))
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        read!(self.session, connection => sessions::get(connection, id))
    }

    async fn update_session(&self, session: &Session) -> Result<()> {
        let row = SessionRow::new(session)?;
        write!(self.update_session, connection => sessions::update(connection, &row))
    }

    async fn sessions_of(
        &self,
        learner: LearnerId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Page<Session>> {
        read!(self.sessions_of, connection => sessions::page(connection, learner, after, limit))
    }

    async fn commit_answer(&self, commit: &AnswerCommit) -> Result<CommitOutcome> {
        match CommitRow::new(commit) {
            Ok(row) => self.answers.store(row).instrument(span("commit_answer")).await,
            // That the id is known counts more than what is wrong.
            Err(invalid) => match self.answer(commit.answer.id).await? {
                Some(stored) => stored.given_again_by(commit.answer.learner),
                None => Err(invalid),
            },
        }
    }

    async fn answer(&self, id: AnswerId) -> Result<Option<StoredAnswer>> {
        read!(self.answer, connection => answers::get(connection, id))
    }

    async fn answers_of(
        &self,
        learner: LearnerId,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<StoredAnswer>> {
        read!(self.answers_of, connection =>
            super::answers::of_learner(connection, learner, after_sequence, limit))
    }

    async fn answers_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<StoredAnswer>> {
        read!(self.answers_after, connection => answers::after(connection, after_sequence, limit))
    }

    async fn learner_state(&self, learner: LearnerId) -> Result<Option<VersionedState>> {
        read!(self.learner_state, connection => snapshots::learner_state(connection, learner))
    }

    async fn put_snapshot(&self, info: SnapshotInfo, bytes: &[u8]) -> Result<()> {
        write!(self.put_snapshot, connection => snapshots::put(connection, info, bytes))
    }

    async fn empty_snapshots_below(&self, version: u64) -> Result<()> {
        write!(self.empty_snapshots_below, connection =>
            snapshots::empty_below(connection, version))
    }

    async fn latest_snapshot(&self) -> Result<Option<Snapshot>> {
        read!(self.latest_snapshot, connection => snapshots::latest(connection))
    }

    async fn latest_snapshot_info(&self) -> Result<Option<SnapshotInfo>> {
        read!(self.latest_snapshot_info, connection => snapshots::latest_info(connection))
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        read!(self.snapshots, connection => snapshots::list(connection))
    }

    async fn outbox_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<OutboxEvent>> {
        read!(self.outbox_after, connection => outbox::after(connection, after_sequence, limit))
    }

    async fn prepare_months(&self, now: Timestamp) -> Result<()> {
        write!(self.prepare_months, connection => async {
            let mut transaction = connection.begin().await?;
            transaction.execute(HASTE, &[]).await?;
            answers::prepare(&mut transaction, now).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    async fn drop_months(&self, before: Timestamp) -> Result<()> {
        write!(self.drop_months, connection => async {
            let mut transaction = connection.begin().await?;
            transaction.execute(HASTE, &[]).await?;
            answers::drop_months(&mut transaction, before).await?;
            transaction.commit().await?;
            Ok(())
        })?;
        let drop_some = || async {
            write!(self.drop_months, connection => answers::drop_some_ids(connection, before))
        };
        while drop_some().await? > 0 {}
        Ok(())
    }

    async fn outbox_acknowledge(&self, upto_sequence: u64, jobs: &[NewJob]) -> Result<()> {
        write!(self.outbox_acknowledge, connection => async {
            let mut transaction = connection.begin().await?;
            // Jobs first: they wait for the erasure of their learners, which waits for events.
            jobs::add(&mut *transaction, jobs).await?;
            super::outbox::acknowledge(&mut *transaction, upto_sequence).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    async fn lease_jobs(
        &self,
        kind: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>> {
        write!(self.lease_jobs, connection => jobs::lease(connection, kind, now, until, limit))
    }

    async fn finish_job(&self, job: &Job) -> Result<bool> {
        write!(self.finish_job, connection => jobs::finish(connection, job))
    }

    async fn fail_job(&self, job: &Job, error: &str, retry: Option<Timestamp>) -> Result<bool> {
        write!(self.fail_job, connection => jobs::fail(connection, job, error, retry))
    }

    async fn dead_jobs(&self, after: Option<Uuid>, limit: usize) -> Result<Page<Job>> {
        read!(self.dead_jobs, connection => jobs::dead(connection, after, limit))
    }

    async fn revive_jobs(&self, only: Option<Uuid>, now: Timestamp) -> Result<u64> {
        write!(self.revive_jobs, connection => jobs::revive(connection, only, now))
    }

    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        write!(self.take_lease, connection => leases::take(connection, name, holder, now, until))
    }

    async fn learner_created(&self, id: LearnerId) -> Result<Option<Timestamp>> {
        read!(self.learner_created, connection => accounts::learner_created(connection, id))
    }

    async fn erase_learner(&self, id: LearnerId, event: &Event) -> Result<()> {
        write!(self.erase_learner, connection => async {
            let mut transaction = connection.begin().await?;
            for sql in ERASE_FIRST {
                transaction.execute(sql, &[id.0.into()]).await?;
            }
            if !erasure::erase(&mut *transaction, id).await? {
                return Err(Error::NotFound("learner"));
            }
            outbox::append(&mut transaction, event).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    async fn dump(&self, sink: mpsc::Sender<Entry>) -> Result<()> {
        let mut lease = self.pool.fresh().await?;
        let outcome = copy::dump(lease.connection(), &Sink(sink)).await;
        lease.end(Ok(outcome))
    }

    async fn load(&self, mut entries: mpsc::Receiver<Entry>) -> Result<()> {
        let mut lease = self.pool.fresh().await?;
        let connection = lease.connection();
        let work = async {
            let mut transaction = connection.begin().await?;
            copy::load(&mut transaction, &mut entries).await?;
            transaction.commit().await?;
            Ok(())
        };
        let outcome = work.await;
        lease.end(Ok(outcome))
    }
}
