//! Sessions.

use quizmentor_core::{LearnerId, Session, SessionId};
use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    Error, Result,
    records::{
        Page,
        encoding::{from_json, refused, rows},
        rows::SessionRow,
    },
};

pub(super) async fn create(pool: &SqlitePool, session: &Session) -> Result<()> {
    let row = SessionRow::new(session)?;
    sqlx::query(
        "INSERT INTO sessions (id, learner, started_at, version, session) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(row.id)
    .bind(row.learner)
    .bind(row.started_at)
    .bind(row.version)
    .bind(row.json)
    .execute(pool)
    .await
    .map_err(|e| refused(e, "session", "learner"))?;
    Ok(())
}

pub(super) async fn get(pool: &SqlitePool, id: SessionId) -> Result<Option<Session>> {
    let json: Option<String> = sqlx::query_scalar("SELECT session FROM sessions WHERE id = ?")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    json.map(|json| from_json("session", &json)).transpose()
}

pub(super) async fn update(connection: &mut SqliteConnection, row: &SessionRow) -> Result<()> {
    let updated = sqlx::query(
        "UPDATE sessions SET started_at = ?, version = ?, session = ?
         WHERE id = ? AND learner = ? AND version = ? - 1",
    )
    .bind(row.started_at)
    .bind(row.version)
    .bind(&row.json)
    .bind(row.id)
    .bind(row.learner)
    .bind(row.version)
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ? AND learner = ?)")
            .bind(row.id)
            .bind(row.learner)
            .fetch_one(connection)
            .await?;
    Err(if exists { Error::Conflict("session") } else { Error::NotFound("session") })
}

pub(super) async fn page(
    pool: &SqlitePool,
    learner: LearnerId,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Page<Session>> {
    let learner = learner.0;
    let limited = rows(limit.saturating_add(1));
    let found: Vec<String> = match after {
        None => {
            sqlx::query_scalar(
                "SELECT session FROM sessions WHERE learner = ?
                 ORDER BY started_at DESC, id DESC LIMIT ?",
            )
            .bind(learner)
            .bind(limited)
            .fetch_all(pool)
            .await?
        }
        Some(after) => {
            let after = after.0;
            let started_at: Option<i64> =
                sqlx::query_scalar("SELECT started_at FROM sessions WHERE id = ? AND learner = ?")
                    .bind(after)
                    .bind(learner)
                    .fetch_optional(pool)
                    .await?;
            sqlx::query_scalar(
                "SELECT session FROM sessions WHERE learner = ? AND (started_at, id) < (?, ?)
                 ORDER BY started_at DESC, id DESC LIMIT ?",
            )
            .bind(learner)
            .bind(started_at.ok_or(Error::NotFound("session"))?)
            .bind(after)
            .bind(limited)
            .fetch_all(pool)
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
