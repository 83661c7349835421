//! What can be practised.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, bank::Subject};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(subjects))
}

/// What can be practised.
#[derive(Serialize, ToSchema)]
struct Subjects {
    /// In order of their slugs.
    subjects: Vec<Subject>,
}

/// Subjects and skills
///
/// Lists what can be practised, with the number of questions by skill and Bloom level. Needs no
/// token.
#[utoipa::path(
    get, path = "/v1/subjects", tag = "bank",
    responses((status = 200, body = Subjects)),
)]
async fn subjects(State(app): State<Arc<App>>) -> Json<Subjects> {
    Json(Subjects { subjects: app.bank().subjects.to_vec() })
}
