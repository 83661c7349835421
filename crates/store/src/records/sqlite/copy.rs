//! Reading and writing the whole content.

use sqlx::{Connection, SqliteConnection};

use super::questions;
use crate::{
    Result,
    records::{
        copy::{self, Copied, SequencesEntry, Sink},
        rows::QuestionRow,
    },
};

impl Copied for SqliteConnection {
    const SEQUENCES: &str =
        "SELECT coalesce(max(seq) FILTER (WHERE name = 'answers'), 0) AS answers,
        coalesce(max(seq) FILTER (WHERE name = 'outbox'), 0) AS outbox FROM sqlite_sequence";

    async fn put_question(&mut self, revision: i64, row: &QuestionRow<'_>) -> Result<()> {
        questions::write(self, revision, row).await
    }

    async fn complete(&mut self, last: &SequencesEntry) -> Result<()> {
        for (table, last) in [("answers", last.answers), ("outbox", last.outbox)] {
            sqlx::query("DELETE FROM sqlite_sequence WHERE name = $1")
                .bind(table)
                .execute(&mut *self)
                .await?;
            sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
                .bind(table)
                .bind(last)
                .execute(&mut *self)
                .await?;
        }
        Ok(())
    }
}

/// Reads everything as it is at one moment.
pub(super) async fn dump(connection: &mut SqliteConnection, sink: &Sink) -> Result<()> {
    let mut transaction = connection.begin().await?;
    copy::read(&mut *transaction, sink).await
}
