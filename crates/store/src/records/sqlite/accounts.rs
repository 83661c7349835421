//! Learners and one-time links.

use quizmentor_core::{LearnerId, Role, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::{
    Result,
    records::{
        LinkHash,
        encoding::{from_name, refused, time, to_name},
    },
};

pub(super) async fn create_learner(pool: &SqlitePool, id: LearnerId, at: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO learners (id, created_at) VALUES (?, ?)")
        .bind(id.0)
        .bind(at.as_microsecond())
        .execute(pool)
        .await
        .map_err(|e| refused(e, "learner", "learner"))?;
    Ok(())
}

pub(super) async fn learner_exists(pool: &SqlitePool, id: LearnerId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM learners WHERE id = ?)")
        .bind(id.0)
        .fetch_one(pool)
        .await?)
}

pub(super) async fn learner_created(pool: &SqlitePool, id: LearnerId) -> Result<Option<Timestamp>> {
    let created: Option<i64> = sqlx::query_scalar("SELECT created_at FROM learners WHERE id = ?")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    created.map(|at| time("creation of a learner", at)).transpose()
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
        .bind(learner.0)
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
    let link: Option<(Uuid, String, i64)> =
        sqlx::query_as("DELETE FROM links WHERE hash = ? RETURNING learner, role, expires")
            .bind(hash.0.as_slice())
            .fetch_optional(connection)
            .await?;
    let Some((learner, role, expires)) = link else { return Ok(None) };
    if time("expiry of a link", expires)? <= now {
        return Ok(None);
    }
    Ok(Some((LearnerId(learner), from_name("role of a link", role)?)))
}
