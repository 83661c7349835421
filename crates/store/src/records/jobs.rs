//! Work in the background.

use quizmentor_core::Timestamp;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    Job, NewJob, Page,
    encoding::{rows, to_json},
    rows::JobRow,
    sql::Sql,
};
use crate::Result;

/// Adds `jobs`, save those of learners who are gone; those that are there stay as they are. To be
/// called in a transaction.
pub(super) async fn add<C: Sql>(connection: &mut C, jobs: &[NewJob]) -> Result<()> {
    for job in jobs {
        let learner = job.learner.map(|learner| learner.0);
        if learner.is_some() && !keep_learner(connection, learner).await? {
            continue;
        }
        let payload = to_json("payload", &job.payload)?;
        let values = [
            job.id.into(),
            (&job.kind).into(),
            (&payload).into(),
            learner.into(),
            job.due.as_microsecond().into(),
        ];
        let sql = "INSERT INTO jobs (id, kind, payload, learner, due, attempts, error, dead)
             VALUES ($1, $2, $3, $4, $5, 0, NULL, false) ON CONFLICT (id) DO NOTHING";
        connection.execute(sql, &values).await?;
    }
    Ok(())
}

/// Whether there is such a learner, who is then not erased before the transaction ends.
async fn keep_learner<C: Sql>(connection: &mut C, learner: Option<Uuid>) -> Result<bool> {
    let sql = format!("SELECT id FROM learners WHERE id = $1 {}", C::KEEP);
    let found: Option<(Uuid,)> = connection.first(AssertSqlSafe(sql), &[learner.into()]).await?;
    Ok(found.is_some())
}

/// Takes jobs that are due until `until`; what another takes at the same time is left to it.
pub(super) async fn lease<C: Sql>(
    connection: &mut C,
    kind: &str,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>> {
    let sql = format!(
        "UPDATE jobs SET due = $1, attempts = attempts + 1 WHERE id IN (
             SELECT id FROM jobs WHERE NOT dead AND kind = $2 AND due <= $3
             ORDER BY due LIMIT $4 {}
         ) RETURNING *",
        C::SKIP_LOCKED
    );
    let values = [
        until.as_microsecond().into(),
        kind.into(),
        now.as_microsecond().into(),
        rows(limit).into(),
    ];
    let found: Vec<JobRow> = connection.all(AssertSqlSafe(sql), &values).await?;
    found.into_iter().map(JobRow::decode).collect()
}

/// Removes a job, if it is still leased as `job` says.
pub(super) async fn finish(connection: &mut impl Sql, job: &Job) -> Result<bool> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND attempts = $2";
    Ok(connection.execute(sql, &[job.job.id.into(), i64::from(job.attempts).into()]).await? == 1)
}

/// Puts a job off until `retry`, or gives it up, if it is still leased as `job` says.
pub(super) async fn fail(
    connection: &mut impl Sql,
    job: &Job,
    error: &str,
    retry: Option<Timestamp>,
) -> Result<bool> {
    let sql = "UPDATE jobs SET error = $1, due = $2, dead = $3 WHERE id = $4 AND attempts = $5";
    // PostgreSQL knows no U+0000 in text.
    let error = error.replace('\0', "\u{fffd}");
    let values = [
        (&error).into(),
        retry.unwrap_or(job.job.due).as_microsecond().into(),
        retry.is_none().into(),
        job.job.id.into(),
        i64::from(job.attempts).into(),
    ];
    Ok(connection.execute(sql, &values).await? == 1)
}

pub(super) async fn dead(
    connection: &mut impl Sql,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Page<Job>> {
    let sql = "SELECT * FROM jobs WHERE dead AND id > $1 ORDER BY id LIMIT $2";
    let values = [after.unwrap_or(Uuid::nil()).into(), rows(limit.saturating_add(1)).into()];
    let found: Vec<JobRow> = connection.all(sql, &values).await?;
    let jobs = found.into_iter().map(JobRow::decode).collect::<Result<_>>()?;
    Ok(Page::of(jobs, limit))
}

pub(super) async fn revive(
    connection: &mut impl Sql,
    only: Option<Uuid>,
    now: Timestamp,
) -> Result<u64> {
    let sql = "UPDATE jobs SET dead = false, attempts = 0, due = $1
         WHERE dead AND ($2 IS NULL OR id = $2)";
    Ok(connection.execute(sql, &[now.as_microsecond().into(), only.into()]).await?)
}
