//! Events that wait to be told.

use sqlx::{SqliteConnection, SqlitePool};

use super::encoding::{cursor, from_int, from_json, rows, time, to_json};
use crate::{
    Result,
    records::{Event, OutboxEvent},
};

pub(super) async fn append(connection: &mut SqliteConnection, event: &Event) -> Result<()> {
    sqlx::query("INSERT INTO outbox (kind, payload, at) VALUES (?, ?, ?)")
        .bind(&event.kind)
        .bind(to_json("event", &event.payload)?)
        .bind(event.at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn after(
    pool: &SqlitePool,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<OutboxEvent>> {
    let found: Vec<(i64, String, String, i64)> = sqlx::query_as(
        "SELECT sequence, kind, payload, at FROM outbox
         WHERE sequence > ? ORDER BY sequence LIMIT ?",
    )
    .bind(cursor(after_sequence))
    .bind(rows(limit))
    .fetch_all(pool)
    .await?;
    found
        .into_iter()
        .map(|(sequence, kind, payload, at)| {
            let payload = from_json("event", &payload)?;
            let event = Event { kind, payload, at: time("time of an event", at)? };
            Ok(OutboxEvent { sequence: from_int("sequence", sequence)?, event })
        })
        .collect()
}

pub(super) async fn acknowledge(pool: &SqlitePool, upto_sequence: u64) -> Result<()> {
    sqlx::query("DELETE FROM outbox WHERE sequence <= ?")
        .bind(cursor(upto_sequence))
        .execute(pool)
        .await?;
    Ok(())
}
