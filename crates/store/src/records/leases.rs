//! Work that one process does at a time.

use quizmentor_core::Timestamp;
use uuid::Uuid;

use super::sql::Sql;
use crate::Result;

/// Takes a lease that is free at `now` or the holder's own, until `until`.
pub(super) async fn take(
    connection: &mut impl Sql,
    name: &str,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let sql = "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.until <= $4 OR leases.holder = excluded.holder";
    let values =
        [name.into(), holder.into(), until.as_microsecond().into(), now.as_microsecond().into()];
    Ok(connection.execute(sql, &values).await? == 1)
}
