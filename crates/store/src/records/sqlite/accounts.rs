//! Learners and one-time links.

use quizmentor_core::{LearnerId, Role, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};

use super::encoding::{from_name, refused, time, to_name, uuid};
use crate::{Result, records::LinkHash};

pub(super) async fn create_learner(pool: &SqlitePool, id: LearnerId, at: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO learners (id, created_at) VALUES (?, ?)")
        .bind(id.0.as_bytes().as_slice())
        .bind(at.as_microsecond())
        .execute(pool)
        .await
        .map_err(|e| refused(e, "learner", "learner"))?;
    Ok(())
}

pub(super) async fn learner_exists(pool: &SqlitePool, id: LearnerId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM learners WHERE id = ?)")
        .bind(id.0.as_bytes().as_slice())
        .fetch_one(pool)
        .await?)
}

pub(super) async fn create_link(
    pool: &SqlitePool,
    hash: LinkHash,
    role: Role,
    learner: LearnerId,
    expires: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO links (hash, learner, role, expires) VALUES (?, ?, ?, ?)")
        .bind(hash.0.as_slice())
        .bind(learner.0.as_bytes().as_slice())
        .bind(to_name("role", &role)?)
        .bind(expires.as_microsecond())
        .execute(pool)
        .await
        .map_err(|e| refused(e, "link", "learner"))?;
    Ok(())
}

/// Only one transaction sees the row; the caller is to tell of it after the commit.
pub(super) async fn redeem_link(
    connection: &mut SqliteConnection,
    hash: LinkHash,
    now: Timestamp,
) -> Result<Option<(LearnerId, Role)>> {
    let link: Option<(Vec<u8>, String, i64)> =
        sqlx::query_as("DELETE FROM links WHERE hash = ? RETURNING learner, role, expires")
            .bind(hash.0.as_slice())
            .fetch_optional(connection)
            .await?;
    let Some((learner, role, expires)) = link else { return Ok(None) };
    if time("expiry of a link", expires)? <= now {
        return Ok(None);
    }
    let learner = LearnerId(uuid("learner of a link", &learner)?);
    Ok(Some((learner, from_name("role of a link", role)?)))
}
