//! Routes by resource.

mod auth;
mod bloom;
mod learners;
mod pages;
mod questions;
mod sessions;
mod subjects;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::{App, Problem};

/// A group of routes that can be served by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Classification and validation of questions.
    Bloom,
    /// Accounts, sessions and learners.
    Adaptive,
    /// The question bank.
    Bank,
    /// The web page.
    Web,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Bloom, Self::Adaptive, Self::Bank, Self::Web];

    fn routes(self) -> OpenApiRouter<Arc<App>> {
        match self {
            Self::Bloom => bloom::routes(),
            Self::Adaptive => auth::routes().merge(sessions::routes()).merge(learners::routes()),
            Self::Bank => subjects::routes().merge(questions::routes()),
            Self::Web => OpenApiRouter::from(pages::routes()),
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "QuizMentor",
        description = "Adaptive practice, a question bank, and Bloom's taxonomy for every question.\n\nErrors are problem documents (RFC 9457). Learners begin with `POST /v1/auth/guest` and send the token as `Authorization: Bearer …`.",
    ),
    modifiers(&BearerToken),
)]
struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

fn described(parts: &[Part]) -> OpenApiRouter<Arc<App>> {
    parts.iter().fold(OpenApiRouter::with_openapi(Description::openapi()), |router, part| {
        router.merge(part.routes())
    })
}

/// The OpenAPI description of all parts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    described(&Part::ALL).into_openapi()
}

/// The routes of `parts`, with their description at /openapi.json and as a page at /docs.
pub fn router(app: Arc<App>, parts: &[Part]) -> Router {
    let (router, description) = described(parts).split_for_parts();
    router
        .merge(SwaggerUi::new("/docs").url("/openapi.json", description))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(app)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{method} is not possible on {}.", uri.path()),
    )
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("There is nothing at {}; /docs lists the API.", uri.path()))
}
