//! Events that wait to be told, in the order of their visibility.

use sqlx::PgConnection;

use crate::{
    Result,
    records::{
        Event, OutboxEvent,
        encoding::{cursor, rows, to_json},
        rows::EventRow,
        sql::Sql,
    },
};

/// To be called in a transaction, late: readers see no event beyond this one until it ends.
pub(super) async fn append(connection: &mut PgConnection, event: &Event) -> Result<()> {
    connection.execute("SELECT hold_sequences()", &[]).await?;
    let payload = to_json("event", &event.payload)?;
    let values = [(&event.kind).into(), (&payload).into(), event.at.as_microsecond().into()];
    let sql = "INSERT INTO outbox VALUES (nextval('outbox_sequence'), $1, $2, $3)";
    connection.execute(sql, &values).await?;
    Ok(())
}

pub(super) async fn after(
    connection: &mut PgConnection,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<OutboxEvent>> {
    let values = [cursor(after_sequence).into(), rows(limit).into()];
    let found: Vec<EventRow> =
        connection.all("SELECT * FROM outbox_after($1, $2)", &values).await?;
    found.into_iter().map(EventRow::decode).collect()
}
