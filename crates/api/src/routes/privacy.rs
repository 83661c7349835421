//! A learner's own data: a copy of all of it, and its removal.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use quizmentor_core::LearnerId;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::{AsAdmin, AsLearner},
    extract::Path,
    privacy,
};

/// Documents that wait for a slow reader.
const AHEAD: usize = 16;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(export_me))
        .routes(routes!(erase_me))
        .routes(routes!(export_learner))
        .routes(routes!(erase_learner))
}

/// Export my data
///
/// Everything that is kept of the account, one JSON document a line: `learner`, each `session`,
/// each `answer`, the adaptive engine's `state`, and `end` with how many there were. Without the
/// last line the export is not whole.
#[utoipa::path(
    get, path = "/v1/me/export", tag = "privacy", security(("token" = [])),
    responses((status = 200, content_type = "application/x-ndjson", body = String)),
)]
async fn export_me(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Response, Problem> {
    export(&app, principal.learner).await
}

/// Erase my data
///
/// Removes the account and everything of it, for good. What the adaptive engine has learned of
/// the questions stays; it tells nothing of who answered.
#[utoipa::path(
    delete, path = "/v1/me", tag = "privacy", security(("token" = [])),
    responses((status = 204), (status = 404, body = Problem)),
)]
async fn erase_me(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<StatusCode, Problem> {
    app.erase(principal.learner).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export a learner's data
///
/// As the learner's own export.
#[utoipa::path(
    get, path = "/v1/learners/{id}/export", tag = "privacy", security(("token" = [])),
    params(("id" = LearnerId, Path, description = "The learner")),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String),
        (status = 403, body = Problem), (status = 404, body = Problem),
    ),
)]
async fn export_learner(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    Path(learner): Path<LearnerId>,
) -> Result<Response, Problem> {
    export(&app, learner).await
}

/// Erase a learner's data
///
/// As the learner's own erasure.
#[utoipa::path(
    delete, path = "/v1/learners/{id}", tag = "privacy", security(("token" = [])),
    params(("id" = LearnerId, Path, description = "The learner")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)),
)]
async fn erase_learner(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    Path(learner): Path<LearnerId>,
) -> Result<StatusCode, Problem> {
    app.erase(learner).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export(app: &App, learner: LearnerId) -> Result<Response, Problem> {
    let (sink, mut documents) = mpsc::channel(AHEAD);
    let exported = privacy::export(Arc::clone(&app.records), learner, sink);
    let exporting = tokio::spawn(exported.in_current_span());
    // The first document says that there is such a learner.
    let Some(first) = documents.recv().await else {
        let outcome = exporting.await.map_err(|error| Problem::internal(&error))?;
        return Err(outcome
            .err()
            .map_or_else(|| Problem::internal(&"an export without a document"), Problem::from));
    };
    let lines = stream::unfold((Some(first), documents), async |(next, mut documents)| {
        let document: Value = match next {
            Some(document) => document,
            None => documents.recv().await?,
        };
        Some((Ok::<_, axum::Error>(Bytes::from(format!("{document}\n"))), (None, documents)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"learner-{learner}.jsonl\"")),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}
