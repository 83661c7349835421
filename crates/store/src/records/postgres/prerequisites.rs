//! The prerequisites of skills.

use sqlx::PgConnection;

use crate::{
    Error, Result,
    records::{
        Prerequisites,
        encoding::{from_int, from_json, to_int, to_json},
    },
};

pub(super) async fn get(connection: &mut PgConnection) -> Result<Prerequisites> {
    let row: Option<(i64, String)> =
        sqlx::query_as("SELECT version, prerequisites FROM prerequisites")
            .fetch_optional(connection)
            .await?;
    let Some((version, json)) = row else { return Ok(Prerequisites::default()) };
    Ok(Prerequisites {
        version: from_int("version of the prerequisites", version)?,
        of: from_json("prerequisites", &json)?,
    })
}

pub(super) async fn put(connection: &mut PgConnection, next: &Prerequisites) -> Result<()> {
    let sql = if next.version == 1 {
        r#"INSERT INTO prerequisites ("only", version, prerequisites) VALUES (1, $1, $2)
           ON CONFLICT ("only") DO NOTHING"#
    } else {
        "UPDATE prerequisites SET version = $1, prerequisites = $2 WHERE version = $1 - 1"
    };
    let stored = sqlx::query(sql)
        .bind(to_int("version of the prerequisites", next.version)?)
        .bind(to_json("prerequisites", &next.of)?)
        .execute(connection)
        .await?;
    if stored.rows_affected() == 1 { Ok(()) } else { Err(Error::Conflict("prerequisites")) }
}
