//! The prerequisites of skills.

use super::{
    Prerequisites,
    encoding::{from_int, from_json, to_int, to_json},
    sql::Sql,
};
use crate::{Error, Result};

pub(super) async fn get(connection: &mut impl Sql) -> Result<Prerequisites> {
    let sql = "SELECT version, prerequisites FROM prerequisites";
    let row: Option<(i64, String)> = connection.first(sql, &[]).await?;
    let Some((version, json)) = row else { return Ok(Prerequisites::default()) };
    Ok(Prerequisites {
        version: from_int("version of the prerequisites", version)?,
        of: from_json("prerequisites", &json)?,
    })
}

pub(super) async fn put(connection: &mut impl Sql, next: &Prerequisites) -> Result<()> {
    let sql = if next.version == 1 {
        r#"INSERT INTO prerequisites ("only", version, prerequisites) VALUES (1, $1, $2)
           ON CONFLICT ("only") DO NOTHING"#
    } else {
        "UPDATE prerequisites SET version = $1, prerequisites = $2 WHERE version = $1 - 1"
    };
    let version = to_int("version of the prerequisites", next.version)?;
    let json = to_json("prerequisites", &next.of)?;
    let stored = connection.execute(sql, &[version.into(), (&json).into()]).await?;
    if stored == 1 { Ok(()) } else { Err(Error::Conflict("prerequisites")) }
}
