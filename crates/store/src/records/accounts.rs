//! Learners and one-time links.

use quizmentor_core::{LearnerId, Role, Timestamp};
use uuid::Uuid;

use super::{
    LinkHash,
    encoding::{from_name, refused, time, to_name},
    sql::Sql,
};
use crate::Result;

pub(super) async fn create_learner(
    connection: &mut impl Sql,
    id: LearnerId,
    at: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO learners (id, created_at) VALUES ($1, $2)";
    let created = connection.execute(sql, &[id.0.into(), at.as_microsecond().into()]).await;
    created.map_err(|e| refused(e, "learner", "learner"))?;
    Ok(())
}

pub(super) async fn learner_exists(connection: &mut impl Sql, id: LearnerId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM learners WHERE id = $1)";
    Ok(connection.one(sql, &[id.0.into()]).await?)
}

pub(super) async fn learner_created(
    connection: &mut impl Sql,
    id: LearnerId,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT created_at FROM learners WHERE id = $1";
    let created: Option<(i64,)> = connection.first(sql, &[id.0.into()]).await?;
    created.map(|(at,)| time("creation of a learner", at)).transpose()
}

pub(super) async fn create_link(
    connection: &mut impl Sql,
    hash: LinkHash,
    role: Role,
    learner: LearnerId,
    expires: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO links (hash, learner, role, expires) VALUES ($1, $2, $3, $4)";
    let role = to_name("role", &role)?;
    let values = [
        hash.0.as_slice().into(),
        learner.0.into(),
        (&role).into(),
        expires.as_microsecond().into(),
    ];
    let created = connection.execute(sql, &values).await;
    created.map_err(|e| refused(e, "link", "learner"))?;
    Ok(())
}

/// Only one transaction sees the row; the caller is to tell of it after the commit.
pub(super) async fn redeem_link(
    connection: &mut impl Sql,
    hash: LinkHash,
    now: Timestamp,
) -> Result<Option<(LearnerId, Role)>> {
    let sql = "DELETE FROM links WHERE hash = $1 RETURNING learner, role, expires";
    let link: Option<(Uuid, String, i64)> =
        connection.first(sql, &[hash.0.as_slice().into()]).await?;
    let Some((learner, role, expires)) = link else { return Ok(None) };
    if time("expiry of a link", expires)? <= now {
        return Ok(None);
    }
    Ok(Some((LearnerId(learner), from_name("role of a link", role)?)))
}
