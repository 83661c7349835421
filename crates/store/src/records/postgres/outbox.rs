//! Events that wait to be told.

use sqlx::PgConnection;

use crate::{
    Result,
    records::{
        OutboxEvent,
        encoding::{cursor, rows},
        rows::EventRow,
    },
};

pub(super) async fn after(
    connection: &mut PgConnection,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<OutboxEvent>> {
    let found: Vec<EventRow> = sqlx::query_as("SELECT * FROM outbox_after($1, $2)")
        .bind(cursor(after_sequence))
        .bind(rows(limit))
        .fetch_all(connection)
        .await?;
    found.into_iter().map(EventRow::decode).collect()
}

pub(super) async fn acknowledge(connection: &mut PgConnection, upto_sequence: u64) -> Result<()> {
    sqlx::query("DELETE FROM outbox WHERE sequence <= $1")
        .bind(cursor(upto_sequence))
        .execute(connection)
        .await?;
    Ok(())
}
