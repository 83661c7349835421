//! Work in the background.

use quizmentor_core::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    records::{
        Job, NewJob, Page,
        encoding::{rows, to_json},
        rows::JobRow,
    },
};

/// Adds `jobs`; those that are there stay as they are.
pub(super) async fn add(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<()> {
    for job in jobs {
        sqlx::query(
            "INSERT INTO jobs (id, kind, payload, learner, due, attempts, error, dead)
             VALUES ($1, $2, $3, $4, $5, 0, NULL, false) ON CONFLICT (id) DO NOTHING",
        )
        .bind(job.id)
        .bind(&job.kind)
        .bind(to_json("payload", &job.payload)?)
        .bind(job.learner.map(|learner| learner.0))
        .bind(job.due.as_microsecond())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Takes jobs that are due until `until`; what another takes at the same time is left to it.
pub(super) async fn lease(
    connection: &mut PgConnection,
    kind: &str,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>> {
    let found: Vec<JobRow> = sqlx::query_as(
        "UPDATE jobs SET due = $1, attempts = attempts + 1 WHERE id IN (
             SELECT id FROM jobs WHERE NOT dead AND kind = $2 AND due <= $3
             ORDER BY due LIMIT $4 FOR UPDATE SKIP LOCKED
         ) RETURNING *",
    )
    .bind(until.as_microsecond())
    .bind(kind)
    .bind(now.as_microsecond())
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    found.into_iter().map(JobRow::decode).collect()
}

/// Removes a job, if it is still leased as `job` says.
pub(super) async fn finish(connection: &mut PgConnection, job: &Job) -> Result<bool> {
    let done = sqlx::query("DELETE FROM jobs WHERE id = $1 AND attempts = $2")
        .bind(job.job.id)
        .bind(i64::from(job.attempts))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a job off until `retry`, or gives it up, if it is still leased as `job` says.
pub(super) async fn fail(
    connection: &mut PgConnection,
    job: &Job,
    error: &str,
    retry: Option<Timestamp>,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE jobs SET error = $1, due = $2, dead = $3 WHERE id = $4 AND attempts = $5",
    )
    .bind(error.replace('\0', "\u{fffd}"))
    .bind(retry.unwrap_or(job.job.due).as_microsecond())
    .bind(retry.is_none())
    .bind(job.job.id)
    .bind(i64::from(job.attempts))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn dead(
    connection: &mut PgConnection,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Page<Job>> {
    let mut found: Vec<JobRow> =
        sqlx::query_as("SELECT * FROM jobs WHERE dead AND id > $1 ORDER BY id LIMIT $2")
            .bind(after.unwrap_or(Uuid::nil()))
            .bind(rows(limit.saturating_add(1)))
            .fetch_all(connection)
            .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let items = found.into_iter().map(JobRow::decode).collect::<Result<_>>()?;
    Ok(Page { items, more })
}

pub(super) async fn revive(
    connection: &mut PgConnection,
    only: Option<Uuid>,
    now: Timestamp,
) -> Result<u64> {
    let revived = sqlx::query(
        "UPDATE jobs SET dead = false, attempts = 0, due = $1
         WHERE dead AND ($2::uuid IS NULL OR id = $2)",
    )
    .bind(now.as_microsecond())
    .bind(only)
    .execute(connection)
    .await?;
    Ok(revived.rows_affected())
}
