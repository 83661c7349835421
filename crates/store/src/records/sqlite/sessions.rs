//! Sessions.

use quizmentor_core::{LearnerId, Session, SessionId};
use sqlx::{SqliteConnection, SqlitePool};

use super::encoding::{from_json, refused, rows, to_int, to_json};
use crate::{Error, Result, records::Page};

pub(super) async fn create(pool: &SqlitePool, session: &Session) -> Result<()> {
    sqlx::query(
        "INSERT INTO sessions (id, learner, started_at, version, session) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(session.id.0.as_bytes().as_slice())
    .bind(session.learner.0.as_bytes().as_slice())
    .bind(session.started_at.as_microsecond())
    .bind(to_int("version of the session", session.version)?)
    .bind(to_json("session", session)?)
    .execute(pool)
    .await
    .map_err(|e| refused(e, "session", "learner"))?;
    Ok(())
}

pub(super) async fn get(pool: &SqlitePool, id: SessionId) -> Result<Option<Session>> {
    let json: Option<String> = sqlx::query_scalar("SELECT session FROM sessions WHERE id = ?")
        .bind(id.0.as_bytes().as_slice())
        .fetch_optional(pool)
        .await?;
    json.map(|json| from_json("session", &json)).transpose()
}

pub(super) async fn update(connection: &mut SqliteConnection, session: &Session) -> Result<()> {
    let id = session.id.0.as_bytes().as_slice();
    let learner = session.learner.0.as_bytes().as_slice();
    let version = to_int("version of the session", session.version)?;
    let updated = sqlx::query(
        "UPDATE sessions SET started_at = ?, version = ?, session = ?
         WHERE id = ? AND learner = ? AND version = ? - 1",
    )
    .bind(session.started_at.as_microsecond())
    .bind(version)
    .bind(to_json("session", session)?)
    .bind(id)
    .bind(learner)
    .bind(version)
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ? AND learner = ?)")
            .bind(id)
            .bind(learner)
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
    let learner = learner.0.as_bytes().as_slice();
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
            let after = after.0.as_bytes().as_slice();
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
