//! Events that wait to be told.

use sqlx::SqliteConnection;

use crate::{
    Result,
    records::{
        Event, OutboxEvent,
        encoding::{cursor, rows, to_json},
        rows::{CommitRow, EventRow},
        sql::{Sql, Value},
    },
};

const APPEND: &str = "INSERT INTO outbox (kind, payload, at) VALUES ($1, $2, $3)";

pub(super) async fn append(connection: &mut SqliteConnection, event: &Event) -> Result<()> {
    let payload = to_json("event", &event.payload)?;
    let values = [(&event.kind).into(), (&payload).into(), event.at.as_microsecond().into()];
    connection.execute(APPEND, &values).await?;
    Ok(())
}

/// The event of an answer.
pub(super) async fn append_row(connection: &mut SqliteConnection, row: &CommitRow) -> Result<()> {
    let values: [Value<'_>; 3] =
        [(&row.event_kind).into(), (&row.event_payload).into(), row.event_at.into()];
    connection.execute(APPEND, &values).await?;
    Ok(())
}

pub(super) async fn after(
    connection: &mut SqliteConnection,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<OutboxEvent>> {
    let sql = "SELECT * FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    let values = [cursor(after_sequence).into(), rows(limit).into()];
    let found: Vec<EventRow> = connection.all(sql, &values).await?;
    found.into_iter().map(EventRow::decode).collect()
}
