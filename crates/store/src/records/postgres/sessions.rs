//! Sessions.

use quizmentor_core::{LearnerId, Session, SessionId};
use sqlx::PgConnection;

use crate::{
    Error, Result,
    records::{
        Page,
        encoding::{from_json, refused, rows},
        rows::SessionRow,
    },
};

pub(super) async fn create(connection: &mut PgConnection, row: &SessionRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO sessions (id, learner, started_at, version, session)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(row.id)
    .bind(row.learner)
    .bind(row.started_at)
    .bind(row.version)
    .bind(&row.json)
    .execute(connection)
    .await
    .map_err(|e| refused(e, "session", "learner"))?;
    Ok(())
}

pub(super) async fn get(connection: &mut PgConnection, id: SessionId) -> Result<Option<Session>> {
    let json: Option<String> = sqlx::query_scalar("SELECT session FROM sessions WHERE id = $1")
        .bind(id.0)
        .fetch_optional(connection)
        .await?;
    json.map(|json| from_json("session", &json)).transpose()
}

pub(super) async fn update(connection: &mut PgConnection, row: &SessionRow) -> Result<()> {
    let updated = sqlx::query(
        "UPDATE sessions SET started_at = $1, version = $2, session = $3
         WHERE id = $4 AND learner = $5 AND version = $2 - 1",
    )
    .bind(row.started_at)
    .bind(row.version)
    .bind(&row.json)
    .bind(row.id)
    .bind(row.learner)
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND learner = $2)")
            .bind(row.id)
            .bind(row.learner)
            .fetch_one(connection)
            .await?;
    Err(if exists { Error::Conflict("session") } else { Error::NotFound("session") })
}

pub(super) async fn page(
    connection: &mut PgConnection,
    learner: LearnerId,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Page<Session>> {
    let limited = rows(limit.saturating_add(1));
    let found: Vec<String> = match after {
        None => {
            sqlx::query_scalar(
                "SELECT session FROM sessions WHERE learner = $1
                 ORDER BY started_at DESC, id DESC LIMIT $2",
            )
            .bind(learner.0)
            .bind(limited)
            .fetch_all(connection)
            .await?
        }
        Some(after) => {
            let started_at: Option<i64> = sqlx::query_scalar(
                "SELECT started_at FROM sessions WHERE id = $1 AND learner = $2",
            )
            .bind(after.0)
            .bind(learner.0)
            .fetch_optional(&mut *connection)
            .await?;
            sqlx::query_scalar(
                "SELECT session FROM sessions WHERE learner = $1 AND (started_at, id) < ($2, $3)
                 ORDER BY started_at DESC, id DESC LIMIT $4",
            )
            .bind(learner.0)
            .bind(started_at.ok_or(Error::NotFound("session"))?)
            .bind(after.0)
            .bind(limited)
            .fetch_all(connection)
            .await?
        }
    };
    let items = found
        .iter()
        .take(limit)
        .map(|json| from_json("session", json))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page { more: found.len() > limit, items })
}
