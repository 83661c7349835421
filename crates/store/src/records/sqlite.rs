//! The records in one SQLite file.
//!
//! One connection writes, several read; write-ahead logging lets them go on side by side. A commit
//! returns after the log was flushed to the disk; answers that come meanwhile share the next flush.

mod answers;
mod copy;
mod outbox;
mod questions;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use quizmentor_core::{
    AnswerId, LearnerId, Question, QuestionId, Role, Session, SessionId, Timestamp,
};
use sqlx::{
    ConnectOptions, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Analysis, AnswerCommit, CommitOutcome, Diagnosis, Entry, Event, Job, LinkHash, NewJob,
    OutboxEvent, Page, Prerequisites, Put, QuestionFilter, Records, Snapshot, SnapshotInfo,
    StoredAnswer, VersionedState, accounts, analyses,
    copy::Sink,
    encoding::{error_at, migration_error},
    erasure,
    group::Group,
    jobs, leases, prerequisites,
    rows::{CommitRow, QuestionRow, SessionRow},
    sessions, snapshots,
};
use crate::{Error, Result};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for a connection, and for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// The records in one SQLite file; clones share its connections.
#[derive(Debug, Clone)]
pub struct Sqlite {
    write: SqlitePool,
    read: SqlitePool,
    answers: Arc<Group<CommitRow, CommitOutcome>>,
}

impl Sqlite {
    /// Opens the file at `path`, creates it if it is absent, and brings it to the present schema.
    /// The directory must exist.
    ///
    /// # Errors
    /// `Corrupt` when the file is no SQLite database, `Unavailable` when it cannot be opened,
    /// created or migrated; both name the path.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let at_path = |error: sqlx::Error| error_at(&path.display().to_string(), error);
        // An absolute path is never taken for a URI.
        let file = std::path::absolute(path).map_err(|e| at_path(e.into()))?;
        let reader = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
        let writer = reader
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is erased shall not be found in the file.
            .pragma("secure_delete", "ON")
            .synchronous(SqliteSynchronous::Full);
        let write = pool(1).connect_with(writer).await.map_err(at_path)?;
        MIGRATIONS.run(&write).await.map_err(|e| at_path(migration_error(e)))?;
        let read = pool(READERS).connect_with(reader.read_only(true)).await.map_err(at_path)?;
        Ok(Self::new(write, read))
    }

    /// Opens an empty database that lives as long as its handle; for tests.
    ///
    /// # Errors
    /// `Unavailable` when there is no memory for it.
    pub async fn in_memory() -> Result<Self> {
        let write = pool(1).connect_with(SqliteConnectOptions::new()).await?;
        MIGRATIONS.run(&write).await.map_err(migration_error)?;
        Ok(Self::new(write.clone(), write))
    }

    /// Tells the state of the file at `path` without changing it.
    ///
    /// # Errors
    /// `Corrupt` when the file is no SQLite database, `Unavailable` when it cannot be opened.
    pub async fn diagnose(path: impl AsRef<Path>) -> Result<Diagnosis> {
        let path = path.as_ref();
        let at_path = |error: sqlx::Error| error_at(&path.display().to_string(), error);
        let file = std::path::absolute(path).map_err(|e| at_path(e.into()))?;
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
        let mut connection = options.read_only(true).connect().await.map_err(at_path)?;
        let made = sqlx::query_scalar(
            "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version",
        )
        .fetch_all(&mut connection)
        .await
        .map_err(at_path)?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&mut connection)
            .await
            .map_err(at_path)?;
        let check: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut connection)
            .await
            .map_err(at_path)?;
        let diagnosis = Diagnosis::new(format!("SQLite {version}"), &MIGRATIONS, &made);
        Ok(Diagnosis { damage: (check != "ok").then_some(check), ..diagnosis })
    }

    fn new(write: SqlitePool, read: SqlitePool) -> Self {
        let writer = answers::Writer(write.clone());
        Self { answers: Arc::new(Group::new([writer], 2 * PATIENCE)), write, read }
    }
}

/// SQLite ends a transaction by itself when the disk is full. The connection then still counts it as
/// open and refuses to begin another, so it is replaced.
async fn begin(write: &SqlitePool) -> Result<Transaction<'static, sqlx::Sqlite>> {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match write.begin_with(BEGIN).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            write.acquire().await?.close().await?;
            Ok(write.begin_with(BEGIN).await?)
        }
        begun => Ok(begun?),
    }
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

#[async_trait]
impl Records for Sqlite {
    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    async fn close(&self) {
        self.answers.close().await;
        self.read.close().await;
        self.write.close().await;
    }

    async fn put_questions(&self, questions: &[Question]) -> Result<Put> {
        let rows = questions.iter().map(QuestionRow::new).collect::<Result<Vec<_>>>()?;
        let mut transaction = begin(&self.write).await?;
        let put = questions::put(&mut transaction, &rows).await?;
        transaction.commit().await?;
        Ok(put)
    }

    async fn question(&self, id: &QuestionId) -> Result<Option<Question>> {
        super::questions::get(&mut *self.read.acquire().await?, id).await
    }

    async fn questions(
        &self,
        filter: &QuestionFilter,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Page<Question>> {
        super::questions::page(&mut *self.read.acquire().await?, filter, after, limit).await
    }

    async fn question_changes(
        &self,
        after_revision: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Question)>> {
        super::questions::changes(&mut *self.read.acquire().await?, after_revision, limit).await
    }

    async fn count_questions(&self, filter: &QuestionFilter) -> Result<u64> {
        super::questions::count(&mut *self.read.acquire().await?, filter).await
    }

    async fn put_analyses(&self, analyses: &[Analysis]) -> Result<()> {
        let mut transaction = begin(&self.write).await?;
        analyses::put(&mut *transaction, analyses).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn analyses(
        &self,
        model: &str,
        after: Option<&QuestionId>,
        limit: usize,
    ) -> Result<Vec<Analysis>> {
        analyses::page(&mut *self.read.acquire().await?, model, after, limit).await
    }

    async fn prerequisites(&self) -> Result<Prerequisites> {
        prerequisites::get(&mut *self.read.acquire().await?).await
    }

    async fn put_prerequisites(&self, next: &Prerequisites) -> Result<()> {
        prerequisites::put(&mut *self.write.acquire().await?, next).await
    }

    async fn create_learner(&self, id: LearnerId, at: Timestamp) -> Result<()> {
        accounts::create_learner(&mut *self.write.acquire().await?, id, at).await
    }

    async fn learner_exists(&self, id: LearnerId) -> Result<bool> {
        accounts::learner_exists(&mut *self.read.acquire().await?, id).await
    }

    async fn create_link(
        &self,
        hash: LinkHash,
        role: Role,
        learner: LearnerId,
        expires: Timestamp,
    ) -> Result<()> {
        accounts::create_link(&mut *self.write.acquire().await?, hash, role, learner, expires).await
    }

    async fn redeem_link(
        &self,
        hash: LinkHash,
        now: Timestamp,
    ) -> Result<Option<(LearnerId, Role)>> {
        let mut transaction = begin(&self.write).await?;
        let account = accounts::redeem_link(&mut *transaction, hash, now).await?;
        transaction.commit().await?;
        Ok(account)
    }

    async fn create_session(&self, session: &Session) -> Result<()> {
        let row = SessionRow::new(session)?;
        sessions::create(&mut *self.write.acquire().await?, &row).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        sessions::get(&mut *self.read.acquire().await?, id).await
    }

    async fn update_session(&self, session: &Session) -> Result<()> {
        let row = SessionRow::new(session)?;
        let mut transaction = begin(&self.write).await?;
        sessions::update(&mut *transaction, &row).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn sessions_of(
        &self,
        learner: LearnerId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Page<Session>> {
        sessions::page(&mut *self.read.acquire().await?, learner, after, limit).await
    }

    async fn commit_answer(&self, commit: &AnswerCommit) -> Result<CommitOutcome> {
        match CommitRow::new(commit) {
            Ok(row) => self.answers.store(row).await,
            // That the id is known counts more than what is wrong.
            Err(invalid) => {
                let answer = &commit.answer;
                answers::known(&mut *self.read.acquire().await?, answer.id, answer.learner)
                    .await?
                    .ok_or(invalid)
            }
        }
    }

    async fn answer(&self, id: AnswerId) -> Result<Option<StoredAnswer>> {
        answers::get(&mut *self.read.acquire().await?, id).await
    }

    async fn answers_of(
        &self,
        learner: LearnerId,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<StoredAnswer>> {
        super::answers::of_learner(&mut *self.read.acquire().await?, learner, after_sequence, limit)
            .await
    }

    async fn answers_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<StoredAnswer>> {
        answers::after(&mut *self.read.acquire().await?, after_sequence, limit).await
    }

    async fn learner_state(&self, learner: LearnerId) -> Result<Option<VersionedState>> {
        snapshots::learner_state(&mut *self.read.acquire().await?, learner).await
    }

    async fn put_snapshot(&self, info: SnapshotInfo, bytes: &[u8]) -> Result<()> {
        snapshots::put(&mut *self.write.acquire().await?, info, bytes).await
    }

    async fn empty_snapshots_below(&self, version: u64) -> Result<()> {
        snapshots::empty_below(&mut *self.write.acquire().await?, version).await
    }

    async fn latest_snapshot(&self) -> Result<Option<Snapshot>> {
        snapshots::latest(&mut *self.read.acquire().await?).await
    }

    async fn latest_snapshot_info(&self) -> Result<Option<SnapshotInfo>> {
        snapshots::latest_info(&mut *self.read.acquire().await?).await
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        snapshots::list(&mut *self.read.acquire().await?).await
    }

    async fn outbox_after(&self, after_sequence: u64, limit: usize) -> Result<Vec<OutboxEvent>> {
        outbox::after(&mut *self.read.acquire().await?, after_sequence, limit).await
    }

    async fn prepare_months(&self, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn drop_months(&self, before: Timestamp) -> Result<()> {
        while answers::drop_some(&mut *self.write.acquire().await?, before).await? > 0 {}
        Ok(())
    }

    async fn outbox_acknowledge(&self, upto_sequence: u64, jobs: &[NewJob]) -> Result<()> {
        let mut transaction = begin(&self.write).await?;
        jobs::add(&mut *transaction, jobs).await?;
        super::outbox::acknowledge(&mut *transaction, upto_sequence).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn lease_jobs(
        &self,
        kind: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>> {
        jobs::lease(&mut *self.write.acquire().await?, kind, now, until, limit).await
    }

    async fn finish_job(&self, job: &Job) -> Result<bool> {
        jobs::finish(&mut *self.write.acquire().await?, job).await
    }

    async fn fail_job(&self, job: &Job, error: &str, retry: Option<Timestamp>) -> Result<bool> {
        jobs::fail(&mut *self.write.acquire().await?, job, error, retry).await
    }

    async fn dead_jobs(&self, after: Option<Uuid>, limit: usize) -> Result<Page<Job>> {
        jobs::dead(&mut *self.read.acquire().await?, after, limit).await
    }

    async fn revive_jobs(&self, only: Option<Uuid>, now: Timestamp) -> Result<u64> {
        jobs::revive(&mut *self.write.acquire().await?, only, now).await
    }

    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        leases::take(&mut *self.write.acquire().await?, name, holder, now, until).await
    }

    async fn learner_created(&self, id: LearnerId) -> Result<Option<Timestamp>> {
        accounts::learner_created(&mut *self.read.acquire().await?, id).await
    }

    async fn erase_learner(&self, id: LearnerId, event: &Event) -> Result<()> {
        let mut transaction = begin(&self.write).await?;
        if !erasure::erase(&mut *transaction, id).await? {
            return Err(Error::NotFound("learner"));
        }
        outbox::append(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn dump(&self, sink: mpsc::Sender<Entry>) -> Result<()> {
        copy::dump(&mut *self.read.acquire().await?, &Sink(sink)).await
    }

    async fn load(&self, mut entries: mpsc::Receiver<Entry>) -> Result<()> {
        let mut transaction = begin(&self.write).await?;
        super::copy::write(&mut *transaction, &mut entries).await?;
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writing_goes_on_once_a_full_disk_has_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let records = Sqlite::open(directory.path().join("full.db")).await.unwrap();
        let snapshot = |version| SnapshotInfo { version, upto_sequence: 0 };
        let mut filler = begin(&records.write).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *filler).await.unwrap();
        let full = sqlx::query("INSERT INTO snapshots VALUES (1, 0, zeroblob(1000000))")
            .execute(&mut *filler)
            .await;
        let error = crate::Error::from(full.unwrap_err());
        assert!(matches!(error, crate::Error::Full { .. }), "{error:?}");
        let _ = filler.rollback().await;
        begin(&records.write).await.unwrap().commit().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 4294967294").execute(&records.write).await.unwrap();
        records.put_snapshot(snapshot(2), &[7; 100_000]).await.unwrap();
        assert_eq!(records.snapshots().await.unwrap(), [snapshot(2)]);
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_disk_and_checks_references() {
        let directory = tempfile::tempdir().unwrap();
        let records = Sqlite::open(directory.path().join("pragmas.db")).await.unwrap();
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&records.write).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&records.write).await.unwrap();
        let references: i64 =
            sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&records.write).await.unwrap();
        const FULL: i64 = 2;
        assert_eq!((journal.as_str(), synchronous, references), ("wal", FULL, 1));
    }
}
