//! Reading and writing the whole content.

use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;

use super::questions;
use crate::{
    Result,
    records::{
        copy::{self, Copied, Entry, SequencesEntry, Sink},
        rows::QuestionRow,
    },
};

impl Copied for PgConnection {
    const SEQUENCES: &str = "SELECT a.last_value AS answers, o.last_value AS outbox
        FROM answers_sequence a, outbox_sequence o";

    async fn put_question(&mut self, revision: i64, row: &QuestionRow<'_>) -> Result<()> {
        questions::write(self, [(revision, row)].iter()).await
    }

    /// What follows from the answers: their ids and the partitions of their months.
    async fn complete(&mut self, last: &SequencesEntry) -> Result<()> {
        const FROM_ANSWERS: [&str; 2] = [
            "INSERT INTO answer_ids (id, learner, sequence, at)
             SELECT id, learner, sequence, at FROM answers",
            // From 2000 on, lest a nonsensical time make a partition.
            "SELECT prepare_answers(min(at), 1) FROM answers_other
             WHERE at BETWEEN 946684800000000 AND extract(epoch FROM now()) * 1000000
             GROUP BY date_trunc('month', timestamp 'epoch' + at * interval '1 microsecond')",
        ];
        for sql in FROM_ANSWERS {
            sqlx::query(sql).execute(&mut *self).await?;
        }
        sqlx::query("SELECT setval('answers_sequence', $1), setval('outbox_sequence', $2)")
            .bind(last.answers)
            .bind(last.outbox)
            .execute(self)
            .await?;
        Ok(())
    }
}

/// Reads everything as it is at one moment, however long it takes.
pub(super) async fn dump(connection: &mut PgConnection, sink: &Sink) -> Result<()> {
    let mut transaction =
        connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    be_patient(&mut transaction).await?;
    copy::read(&mut *transaction, sink).await?;
    transaction.rollback().await?;
    Ok(())
}

pub(super) async fn load(
    connection: &mut PgConnection,
    entries: &mut mpsc::Receiver<Entry>,
) -> Result<()> {
    be_patient(connection).await?;
    copy::write(connection, entries).await
}

async fn be_patient(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .execute(connection)
    .await?;
    Ok(())
}
