//! Reading and writing the whole content.

use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::questions;
use crate::records::{
    copy::{Entry, copying},
    rows::QuestionRow,
};

const SEQUENCES: &str = "SELECT coalesce(max(seq) FILTER (WHERE name = 'answers'), 0) AS answers,
    coalesce(max(seq) FILTER (WHERE name = 'outbox'), 0) AS outbox FROM sqlite_sequence";

copying!(SqliteConnection);

/// Reads everything as it is at one moment.
pub(super) async fn dump(connection: &mut SqliteConnection, sink: &Sink) -> Result<()> {
    let mut transaction = connection.begin().await?;
    read_all(&mut transaction, sink).await
}

pub(super) async fn load(
    connection: &mut SqliteConnection,
    entries: &mut mpsc::Receiver<Entry>,
) -> Result<()> {
    expect_nothing(&mut *connection).await?;
    let mut complete = false;
    while let Some(entry) = entries.recv().await {
        let kind = entry.into_kind();
        write(&mut *connection, &kind).await?;
        match kind {
            Kind::Question(entry) => {
                let question = entry.question()?;
                let row = QuestionRow::new(&question)?;
                questions::write(&mut *connection, entry.revision, &row).await?;
            }
            Kind::Sequences(last) => {
                set_sequences(&mut *connection, &last).await?;
                complete = true;
            }
            _ => {}
        }
    }
    if complete { Ok(()) } else { Err(crate::Error::invalid("entries", "they end early")) }
}

async fn set_sequences(connection: &mut SqliteConnection, last: &SequencesEntry) -> Result<()> {
    for (table, last) in [("answers", last.answers), ("outbox", last.outbox)] {
        sqlx::query("DELETE FROM sqlite_sequence WHERE name = $1")
            .bind(table)
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
            .bind(table)
            .bind(last)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
