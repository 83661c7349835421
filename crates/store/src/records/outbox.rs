//! Events that wait to be told.

use super::{encoding::cursor, sql::Sql};
use crate::Result;

pub(super) async fn acknowledge(connection: &mut impl Sql, upto_sequence: u64) -> Result<()> {
    let sql = "DELETE FROM outbox WHERE sequence <= $1";
    connection.execute(sql, &[cursor(upto_sequence).into()]).await?;
    Ok(())
}
