//! Answers and the transaction that stores them.

use quizmentor_core::{AnswerId, LearnerId};
use sqlx::{Connection, SqliteConnection, SqliteExecutor, SqlitePool};

use super::{begin, outbox, sessions, snapshots};
use crate::{
    Error, Result,
    records::{
        CommitOutcome, StoredAnswer,
        encoding::{cursor, from_int, refused, rows},
        group::Batch,
        rows::{AnswerRow, CommitRow},
    },
};

/// Stores the answers that wait in one transaction.
pub(super) struct Writer(pub SqlitePool);

impl Batch for Writer {
    type Item = CommitRow;
    type Outcome = CommitOutcome;

    async fn run(&mut self, items: Vec<CommitRow>) -> Vec<Result<CommitOutcome>> {
        match self.store(&items).await {
            Ok(outcomes) => outcomes,
            Err(error) => items.iter().map(|_| Err(error.again())).collect(),
        }
    }
}

impl Writer {
    /// An error says that nothing was stored.
    async fn store(&self, rows: &[CommitRow]) -> Result<Vec<Result<CommitOutcome>>> {
        let mut transaction = begin(&self.0).await?;
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            // Ended by hand: when SQLite gave up the whole transaction, there is none to end.
            let mut savepoint = transaction.begin().await?;
            let outcome = commit(&mut savepoint, row).await;
            if matches!(outcome, Ok(CommitOutcome::Committed { .. })) {
                savepoint.commit().await?;
            } else if let Err(error) = savepoint.rollback().await {
                return Err(outcome.err().unwrap_or_else(|| error.into()));
            }
            outcomes.push(outcome);
        }
        transaction.commit().await?;
        Ok(outcomes)
    }
}

/// Leaves the savepoint to be rolled back unless all was stored.
async fn commit(connection: &mut SqliteConnection, row: &CommitRow) -> Result<CommitOutcome> {
    if let Some(known) = known(&mut *connection, AnswerId(row.id), LearnerId(row.learner)).await? {
        return Ok(known);
    }
    match sessions::update(&mut *connection, &row.session).await {
        Err(Error::Conflict(_)) => return Ok(CommitOutcome::Conflict),
        updated => updated?,
    }
    if !snapshots::advance_state(&mut *connection, row).await? {
        return Ok(CommitOutcome::Conflict);
    }
    let sequence = insert(&mut *connection, row).await?;
    outbox::append(connection, row).await?;
    Ok(CommitOutcome::Committed { sequence })
}

/// What an answer comes to whose id was stored before.
pub(super) async fn known(
    executor: impl SqliteExecutor<'_>,
    id: AnswerId,
    learner: LearnerId,
) -> Result<Option<CommitOutcome>> {
    get(executor, id).await?.map(|stored| stored.given_again_by(learner)).transpose()
}

async fn insert(connection: &mut SqliteConnection, row: &CommitRow) -> Result<u64> {
    let inserted = sqlx::query(
        "INSERT INTO answers (id, learner, session, question, skill, response, credit, correct,
                              elapsed_ms, at, predicted, propensity, policy, snapshot, context)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.id)
    .bind(row.learner)
    .bind(row.session.id)
    .bind(&row.question)
    .bind(&row.skill)
    .bind(&row.response)
    .bind(row.credit)
    .bind(row.correct)
    .bind(row.elapsed_ms)
    .bind(row.at)
    .bind(row.predicted)
    .bind(row.propensity)
    .bind(&row.policy)
    .bind(row.snapshot)
    .bind(&row.context)
    .execute(connection)
    .await
    .map_err(|e| refused(e, "answer id", "question"))?;
    from_int("sequence", inserted.last_insert_rowid())
}

pub(super) async fn get(
    executor: impl SqliteExecutor<'_>,
    id: AnswerId,
) -> Result<Option<StoredAnswer>> {
    let row: Option<AnswerRow> = sqlx::query_as("SELECT * FROM answers WHERE id = ?")
        .bind(id.0)
        .fetch_optional(executor)
        .await?;
    row.map(AnswerRow::decode).transpose()
}

pub(super) async fn of_learner(
    pool: &SqlitePool,
    learner: LearnerId,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let found: Vec<AnswerRow> = sqlx::query_as(
        "SELECT * FROM answers WHERE learner = ? AND sequence > ? ORDER BY sequence LIMIT ?",
    )
    .bind(learner.0)
    .bind(cursor(after_sequence))
    .bind(rows(limit))
    .fetch_all(pool)
    .await?;
    found.into_iter().map(AnswerRow::decode).collect()
}

pub(super) async fn after(
    pool: &SqlitePool,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let found: Vec<AnswerRow> =
        sqlx::query_as("SELECT * FROM answers WHERE sequence > ? ORDER BY sequence LIMIT ?")
            .bind(cursor(after_sequence))
            .bind(rows(limit))
            .fetch_all(pool)
            .await?;
    found.into_iter().map(AnswerRow::decode).collect()
}
