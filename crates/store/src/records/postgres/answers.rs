//! Answers and the transactions that store them.

use quizmentor_core::{AnswerId, Timestamp};
use sqlx::PgConnection;
use tokio::time::timeout;

use super::{
    MONTHS_AHEAD, READ,
    pool::{Lease, Pool, is_lost, is_overtaken},
};
use crate::{
    Error, Result,
    records::{
        CommitOutcome, StoredAnswer,
        encoding::{cursor, from_int, rows},
        group::Batch,
        rows::{AnswerRow, CommitRow},
        sql::Sql,
    },
};

/// How often a transaction is tried in all when others come in between or connections are lost.
const TRIES: usize = 3;
/// Ids of answers dropped in one statement, which is to end well within its time.
const DROPPED_AT_ONCE: i64 = 10_000;

/// Stores the answers that wait in one transaction.
pub(super) struct Writer(pub Pool);

impl Batch for Writer {
    type Item = CommitRow;
    type Outcome = CommitOutcome;

    async fn run(&mut self, items: Vec<CommitRow>) -> Vec<Result<CommitOutcome>> {
        let mut sorted: Vec<_> = items.into_iter().enumerate().collect();
        // Transactions lock learners in one order, so none waits for another in a circle.
        sorted.sort_by_key(|(_, row)| row.learner);
        let (places, rows): (Vec<usize>, Vec<_>) = sorted.into_iter().unzip();
        let outcomes = match self.store(&rows).await {
            Ok(outcomes) => outcomes,
            // One of them may be to blame.
            Err(error) if rows.len() > 1 && !is_lost(&error) => self.store_singly(&rows).await,
            Err(error) => rows.iter().map(|_| Err(error.again())).collect(),
        };
        let mut placed: Vec<_> = places.into_iter().zip(outcomes).collect();
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

impl Writer {
    async fn store_singly(&self, rows: &[CommitRow]) -> Vec<Result<CommitOutcome>> {
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let outcome = self.store(std::slice::from_ref(row)).await;
            outcomes.push(outcome.and_then(|mut one| {
                one.pop().unwrap_or_else(|| Err(Error::unavailable("the database", "no outcome")))
            }));
        }
        outcomes
    }

    /// An error says that nothing was stored, unless the connection was lost: then nobody knows,
    /// and the same answer sent again tells.
    async fn store(&self, rows: &[CommitRow]) -> Result<Vec<Result<CommitOutcome>>> {
        let mut lease = self.0.lease().await?;
        let mut in_doubt = false;
        for _ in 1..TRIES {
            match try_store(lease, rows, in_doubt).await {
                Err(error) if is_lost(&error) => in_doubt = true,
                Err(error) if rows.len() == 1 && is_overtaken(&error) => {}
                done => return done,
            }
            lease = self.0.fresh().await?;
        }
        try_store(lease, rows, in_doubt).await
    }
}

/// When it is `in_doubt` whether `rows` were stored by an earlier try, those that were are taken
/// for stored now.
async fn try_store(
    mut lease: Lease,
    rows: &[CommitRow],
    in_doubt: bool,
) -> Result<Vec<Result<CommitOutcome>>> {
    let connection = lease.connection();
    let work = async {
        let results = commit(&mut *connection, rows).await?;
        let mut outcomes = Vec::with_capacity(rows.len());
        for (row, (status, sequence)) in rows.iter().zip(results) {
            outcomes.push(outcome(&mut *connection, row, &status, sequence, in_doubt).await?);
        }
        Ok(outcomes)
    };
    let outcome = timeout(READ, work).await;
    lease.end(outcome)
}

/// What `commit_answers` says became of each row.
async fn commit(
    connection: &mut PgConnection,
    rows: &[CommitRow],
) -> Result<Vec<(String, Option<i64>)>> {
    /// A column of the rows.
    macro_rules! column {
        ($row:ident => $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    let results = sqlx::query_as(
        "SELECT * FROM commit_answers($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                                      $15, $16, $17, $18, $19, $20, $21, $22, $23)",
    )
    .bind(column!(row => row.id))
    .bind(column!(row => row.learner))
    .bind(column!(row => row.session.id))
    .bind(column!(row => row.question.as_str()))
    .bind(column!(row => row.skill.as_str()))
    .bind(column!(row => row.response.as_str()))
    .bind(column!(row => row.credit))
    .bind(column!(row => row.correct))
    .bind(column!(row => row.elapsed_ms))
    .bind(column!(row => row.at))
    .bind(column!(row => row.predicted))
    .bind(column!(row => row.propensity))
    .bind(column!(row => row.policy.as_str()))
    .bind(column!(row => row.snapshot))
    .bind(column!(row => row.context.as_str()))
    .bind(column!(row => row.session.started_at))
    .bind(column!(row => row.session.version))
    .bind(column!(row => row.session.json.as_str()))
    .bind(column!(row => row.state_version))
    .bind(column!(row => row.state.as_slice()))
    .bind(column!(row => row.event_kind.as_str()))
    .bind(column!(row => row.event_payload.as_str()))
    .bind(column!(row => row.event_at));
    Ok(results.fetch_all(connection).await?)
}

/// The outer error is one of the connection, the inner one of the row.
async fn outcome(
    connection: &mut PgConnection,
    row: &CommitRow,
    status: &str,
    sequence: Option<i64>,
    in_doubt: bool,
) -> Result<Result<CommitOutcome>> {
    Ok(match (status, sequence) {
        ("committed", Some(sequence)) => {
            from_int("sequence", sequence).map(|sequence| CommitOutcome::Committed { sequence })
        }
        ("duplicate", _) => match get(connection, AnswerId(row.id)).await? {
            Some(stored) if in_doubt && row.is(&stored.answer) => {
                Ok(CommitOutcome::Committed { sequence: stored.sequence })
            }
            Some(stored) => Ok(CommitOutcome::Duplicate(Box::new(stored))),
            // Its month was dropped.
            None => Err(Error::Conflict("answer id")),
        },
        ("taken", _) => Err(Error::Conflict("answer id")),
        ("conflict", _) => Ok(CommitOutcome::Conflict),
        ("no session", _) => Err(Error::NotFound("session")),
        ("no question", _) => Err(Error::NotFound("question")),
        (other, _) => Err(Error::corrupt("commit_answers", format!("it says {other}"))),
    })
}

pub(super) async fn get(
    connection: &mut PgConnection,
    id: AnswerId,
) -> Result<Option<StoredAnswer>> {
    let sql = "SELECT answers.* FROM answer_ids JOIN answers USING (sequence, at)
         WHERE answer_ids.id = $1";
    let row: Option<AnswerRow> = connection.first(sql, &[id.0.into()]).await?;
    row.map(AnswerRow::decode).transpose()
}

pub(super) async fn after(
    connection: &mut PgConnection,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let values = [cursor(after_sequence).into(), rows(limit).into()];
    let found: Vec<AnswerRow> =
        connection.all("SELECT * FROM answers_after($1, $2)", &values).await?;
    found.into_iter().map(AnswerRow::decode).collect()
}

/// Makes partitions for the answers of the month of `now` and of those that follow.
pub(super) async fn prepare(connection: &mut PgConnection, now: Timestamp) -> Result<()> {
    sqlx::query("SELECT prepare_answers($1, $2)")
        .bind(now.as_microsecond())
        .bind(MONTHS_AHEAD)
        .execute(connection)
        .await?;
    Ok(())
}

/// Drops the partitions of the months that had ended at `before`.
pub(super) async fn drop_months(connection: &mut PgConnection, before: Timestamp) -> Result<()> {
    connection.execute("SELECT drop_answers($1)", &[before.as_microsecond().into()]).await?;
    Ok(())
}

/// Removes ids of answers of the months that had ended at `before`, some at a time; how many. To be
/// called until there are none.
pub(super) async fn drop_some_ids(connection: &mut PgConnection, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM answer_ids WHERE id IN (
        SELECT id FROM answer_ids WHERE at < month_of($1) LIMIT $2)";
    let values = [before.as_microsecond().into(), DROPPED_AT_ONCE.into()];
    Ok(connection.execute(sql, &values).await?)
}
