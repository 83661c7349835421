//! Routes by resource.

mod auth;
mod bloom;
mod calibration;
mod experiments;
mod goals;
mod jobs;
mod learners;
mod live;
mod pages;
mod privacy;
mod questions;
mod sessions;
mod skills;
mod subjects;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
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
            Self::Adaptive => auth::routes()
                .merge(sessions::routes())
                .merge(learners::routes())
                .merge(goals::routes())
                .merge(experiments::routes())
                .merge(live::routes())
                .merge(privacy::routes())
                .merge(jobs::routes()),
            Self::Bank => subjects::routes()
                .merge(skills::routes())
                .merge(questions::routes())
                .merge(calibration::routes()),
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
    fn modify(&self, openapi: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

fn described(parts: &[Part]) -> OpenApiRouter<Arc<App>> {
    let empty = OpenApiRouter::with_openapi(Description::openapi());
    let mut router = parts.iter().fold(empty, |router, part| router.merge(part.routes()));
    describe_errors(router.get_openapi_mut());
    router
}

/// Adds what all operations have in common: every error, named or not, is a problem document.
fn describe_errors(description: &mut openapi::OpenApi) {
    for path in description.paths.paths.values_mut() {
        let methods = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
        for operation in methods.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            if operation.security.is_some() {
                responses.entry("401".to_owned()).or_insert_with(|| problem("401"));
            }
            for (status, response) in responses.iter_mut() {
                if !status.starts_with('2') {
                    *response = problem(status);
                }
            }
            responses.insert("default".to_owned(), problem("default"));
        }
    }
}

fn problem(status: &str) -> openapi::RefOr<openapi::Response> {
    let reason = StatusCode::from_bytes(status.as_bytes()).ok().and_then(|s| s.canonical_reason());
    let content = openapi::Content::new(Some(openapi::Ref::from_schema_name("Problem")));
    openapi::ResponseBuilder::new()
        .description(reason.unwrap_or("Any other error"))
        .content("application/problem+json", content)
        .into()
}

/// The OpenAPI description of all parts.
#[must_use]
pub fn openapi() -> openapi::OpenApi {
    described(&Part::ALL).into_openapi()
}

/// The routes of `parts`, and the description of all parts at /openapi.json and as a page at /docs:
/// behind one address, clients see one API.
pub fn router(app: Arc<App>, parts: &[Part]) -> Router {
    let (router, _) = described(parts).split_for_parts();
    router
        .merge(SwaggerUi::new("/docs").url("/openapi.json", openapi()))
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
