//! Learners and one-time links.

use quizmentor_core::{LearnerId, Role, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    records::{
        LinkHash,
        encoding::{from_name, refused, time, to_name},
    },
};

pub(super) async fn create_learner(
    connection: &mut PgConnection,
    id: LearnerId,
    at: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO learners (id, created_at) VALUES ($1, $2)")
        .bind(id.0)
        .bind(at.as_microsecond())
        .execute(connection)
        .await
        .map_err(|e| refused(e, "learner", "learner"))?;
    Ok(())
}

pub(super) async fn learner_exists(connection: &mut PgConnection, id: LearnerId) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM learners WHERE id = $1)")
        .bind(id.0)
        .fetch_one(connection)
        .await?)
}

pub(super) async fn learner_created(
    connection: &mut PgConnection,
    id: LearnerId,
) -> Result<Option<Timestamp>> {
    let created: Option<i64> = sqlx::query_scalar("SELECT created_at FROM learners WHERE id = $1")
        .bind(id.0)
        .fetch_optional(connection)
        .await?;
    created.map(|at| time("creation of a learner", at)).transpose()
}

pub(super) async fn create_link(
    connection: &mut PgConnection,
    hash: LinkHash,
    role: Role,
    learner: LearnerId,
    expires: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO links (hash, learner, role, expires) VALUES ($1, $2, $3, $4)")
        .bind(hash.0.as_slice())
        .bind(learner.0)
        .bind(to_name("role", &role)?)
        .bind(expires.as_microsecond())
        .execute(connection)
        .await
        .map_err(|e| refused(e, "link", "learner"))?;
    Ok(())
}

pub(super) async fn redeem_link(
    connection: &mut PgConnection,
    hash: LinkHash,
    now: Timestamp,
) -> Result<Option<(LearnerId, Role)>> {
    let link: Option<(Uuid, String, i64)> =
        sqlx::query_as("DELETE FROM links WHERE hash = $1 RETURNING learner, role, expires")
            .bind(hash.0.as_slice())
            .fetch_optional(connection)
            .await?;
    let Some((learner, role, expires)) = link else { return Ok(None) };
    if time("expiry of a link", expires)? <= now {
        return Ok(None);
    }
    Ok(Some((LearnerId(learner), from_name("role of a link", role)?)))
}
