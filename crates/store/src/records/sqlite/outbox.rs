//! Events that wait to be told.

use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    Result,
    records::{
        OutboxEvent,
        encoding::{cursor, rows},
        rows::{CommitRow, EventRow},
    },
};

pub(super) async fn append(connection: &mut SqliteConnection, row: &CommitRow) -> Result<()> {
    sqlx::query("INSERT INTO outbox (kind, payload, at) VALUES (?, ?, ?)")
        .bind(&row.event_kind)
        .bind(&row.event_payload)
        .bind(row.event_at)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn after(
    pool: &SqlitePool,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<OutboxEvent>> {
    let found: Vec<EventRow> =
        sqlx::query_as("SELECT * FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?")
            .bind(cursor(after_sequence))
            .bind(rows(limit))
            .fetch_all(pool)
            .await?;
    found.into_iter().map(EventRow::decode).collect()
}

pub(super) async fn acknowledge(
    connection: &mut SqliteConnection,
    upto_sequence: u64,
) -> Result<()> {
    sqlx::query("DELETE FROM outbox WHERE sequence <= ?")
        .bind(cursor(upto_sequence))
        .execute(connection)
        .await?;
    Ok(())
}
