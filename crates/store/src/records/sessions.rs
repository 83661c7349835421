//! Sessions.

use quizmentor_core::{LearnerId, Session, SessionId};

use super::{
    Page,
    encoding::{from_json, refused, rows},
    rows::SessionRow,
    sql::Sql,
};
use crate::{Error, Result};

pub(super) async fn create(connection: &mut impl Sql, row: &SessionRow) -> Result<()> {
    let sql = "INSERT INTO sessions (id, learner, started_at, version, session)
         VALUES ($1, $2, $3, $4, $5)";
    let values = [
        row.id.into(),
        row.learner.into(),
        row.started_at.into(),
        row.version.into(),
        (&row.json).into(),
    ];
    let created = connection.execute(sql, &values).await;
    created.map_err(|e| refused(e, "session", "learner"))?;
    Ok(())
}

pub(super) async fn get(connection: &mut impl Sql, id: SessionId) -> Result<Option<Session>> {
    let sql = "SELECT session FROM sessions WHERE id = $1";
    let json: Option<(String,)> = connection.first(sql, &[id.0.into()]).await?;
    json.map(|(json,)| from_json("session", &json)).transpose()
}

/// Where more than one connection writes, to be called in a transaction of its own or in none.
pub(super) async fn update(connection: &mut impl Sql, row: &SessionRow) -> Result<()> {
    let sql = "UPDATE sessions SET started_at = $1, version = $2, session = $3
         WHERE id = $4 AND learner = $5 AND version = $2 - 1";
    let values = [
        row.started_at.into(),
        row.version.into(),
        (&row.json).into(),
        row.id.into(),
        row.learner.into(),
    ];
    if connection.execute(sql, &values).await? == 1 {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND learner = $2)";
    let exists = connection.one(sql, &[row.id.into(), row.learner.into()]).await?;
    Err(if exists { Error::Conflict("session") } else { Error::NotFound("session") })
}

pub(super) async fn page(
    connection: &mut impl Sql,
    learner: LearnerId,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Page<Session>> {
    let limited = rows(limit.saturating_add(1)).into();
    let found: Vec<(String,)> = if let Some(after) = after {
        let started_at = started_at(connection, learner, after).await?;
        let sql = "SELECT session FROM sessions WHERE learner = $1 AND (started_at, id) < ($2, $3)
             ORDER BY started_at DESC, id DESC LIMIT $4";
        let values = [learner.0.into(), started_at.into(), after.0.into(), limited];
        connection.all(sql, &values).await?
    } else {
        let sql = "SELECT session FROM sessions WHERE learner = $1
             ORDER BY started_at DESC, id DESC LIMIT $2";
        connection.all(sql, &[learner.0.into(), limited]).await?
    };
    let sessions = found.iter().map(|(json,)| from_json("session", json)).collect::<Result<_>>()?;
    Ok(Page::of(sessions, limit))
}

async fn started_at(connection: &mut impl Sql, learner: LearnerId, id: SessionId) -> Result<i64> {
    let sql = "SELECT started_at FROM sessions WHERE id = $1 AND learner = $2";
    let found: Option<(i64,)> = connection.first(sql, &[id.0.into(), learner.0.into()]).await?;
    found.map(|(at,)| at).ok_or(Error::NotFound("session"))
}
