//! Answers and the transaction that stores them.

use quizmentor_core::{AnswerId, LearnerId, Timestamp};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::{begin, outbox};
use crate::{
    Error, Result,
    records::{
        CommitOutcome, StoredAnswer,
        encoding::{cursor, from_int, refused, rows},
        group::Batch,
        rows::{AnswerRow, CommitRow},
        sessions,
        sql::Sql,
    },
};

/// Answers dropped in one transaction, so that others need not wait for long.
const DROPPED_AT_ONCE: i64 = 2_000;

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
    if !advance_state(&mut *connection, row).await? {
        return Ok(CommitOutcome::Conflict);
    }
    let sequence = insert(&mut *connection, row).await?;
    outbox::append_row(connection, row).await?;
    Ok(CommitOutcome::Committed { sequence })
}

/// Stores the learner's next state; `false` unless its version is one above the stored one.
async fn advance_state(connection: &mut SqliteConnection, row: &CommitRow) -> Result<bool> {
    let sql = if row.state_version == 1 {
        "INSERT INTO learner_states (version, state, learner) VALUES ($1, $2, $3)
         ON CONFLICT (learner) DO NOTHING"
    } else {
        "UPDATE learner_states SET version = $1, state = $2
         WHERE learner = $3 AND version = $1 - 1"
    };
    let values = [row.state_version.into(), row.state.as_slice().into(), row.learner.into()];
    Ok(connection.execute(sql, &values).await? == 1)
}

/// What an answer comes to whose id was stored before.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    id: AnswerId,
    learner: LearnerId,
) -> Result<Option<CommitOutcome>> {
    get(connection, id).await?.map(|stored| stored.given_again_by(learner)).transpose()
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
    connection: &mut SqliteConnection,
    id: AnswerId,
) -> Result<Option<StoredAnswer>> {
    let sql = "SELECT * FROM answers WHERE id = $1";
    let row: Option<AnswerRow> = connection.first(sql, &[id.0.into()]).await?;
    row.map(AnswerRow::decode).transpose()
}

pub(super) async fn after(
    connection: &mut SqliteConnection,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let sql = "SELECT * FROM answers WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    let values = [cursor(after_sequence).into(), rows(limit).into()];
    let found: Vec<AnswerRow> = connection.all(sql, &values).await?;
    found.into_iter().map(AnswerRow::decode).collect()
}

/// Removes answers of the months that had ended at `before`, some at a time; how many. To be called
/// until there are none.
pub(super) async fn drop_some(connection: &mut SqliteConnection, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM answers WHERE sequence IN (
             SELECT sequence FROM answers WHERE at < 1000000 * CAST(
                 strftime('%s', $1 / 1000000, 'unixepoch', 'start of month') AS INTEGER)
             LIMIT $2)";
    let values = [before.as_microsecond().into(), DROPPED_AT_ONCE.into()];
    Ok(connection.execute(sql, &values).await?)
}
