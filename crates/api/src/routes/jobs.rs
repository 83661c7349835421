//! Jobs that were given up.

use std::sync::Arc;

use axum::{Json, extract::State};
use quizmentor_core::LearnerId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{App, Problem, auth::AsAdmin, extract, extract::Query};

/// Jobs on a page, at most.
const PAGE: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(dead_jobs)).routes(routes!(revive_jobs))
}

/// Where a page begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct After {
    /// The last job of the page before.
    after: Option<Uuid>,
}

/// A job that was given up.
#[derive(Serialize, ToSchema)]
struct DeadJob {
    /// Its id.
    id: Uuid,
    /// Who was to do it.
    kind: String,
    /// The particulars.
    payload: Value,
    /// Whom it tells of.
    learner: Option<LearnerId>,
    /// How often it was tried.
    attempts: u32,
    /// Why it failed the last time.
    error: Option<String>,
}

/// Jobs that were given up.
#[derive(Serialize, ToSchema)]
struct DeadJobs {
    /// In order of their ids.
    jobs: Vec<DeadJob>,
    /// To be sent as `after` for the next page; `null` on the last.
    next: Option<Uuid>,
}

/// Jobs that were given up
///
/// Such as events that a webhook did not take in about half a day.
#[utoipa::path(
    get, path = "/v1/jobs/dead", tag = "operation", security(("token" = [])), params(After),
    responses((status = 200, body = DeadJobs), (status = 403, body = Problem)),
)]
async fn dead_jobs(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    Query(After { after }): Query<After>,
) -> Result<Json<DeadJobs>, Problem> {
    let page = app.records.dead_jobs(after, PAGE).await?;
    let jobs: Vec<_> = page
        .items
        .into_iter()
        .map(|dead| DeadJob {
            id: dead.job.id,
            kind: dead.job.kind,
            payload: dead.job.payload,
            learner: dead.job.learner,
            attempts: dead.attempts,
            error: dead.error,
        })
        .collect();
    let next = jobs.last().filter(|_| page.more).map(|job| job.id);
    Ok(Json(DeadJobs { jobs, next }))
}

/// Which jobs are to be tried again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revival {
    /// One of them; without it, all.
    id: Option<Uuid>,
}

/// How many jobs are tried again.
#[derive(Serialize, ToSchema)]
struct Revived {
    /// That many.
    revived: u64,
}

/// Try jobs again
///
/// Jobs that were given up are due again, as if they were new.
#[utoipa::path(
    post, path = "/v1/jobs/revive", tag = "operation", security(("token" = [])),
    request_body = Revival,
    responses((status = 200, body = Revived), (status = 403, body = Problem)),
)]
async fn revive_jobs(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    extract::Json(Revival { id }): extract::Json<Revival>,
) -> Result<Json<Revived>, Problem> {
    let revived = app.records.revive_jobs(id, app.clock.now()).await?;
    Ok(Json(Revived { revived }))
}
