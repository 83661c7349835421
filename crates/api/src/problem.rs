//! Problem documents (RFC 9457): the one shape of every error that leaves the API.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use quizmentor_core::Defect;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable name of the kind of problem, for programs: `urn:quizmentor:problem:…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What happened here, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Each mistake in the request, with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds to wait before trying again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// A mistake in one place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Path to the field, such as `body.options[1].text`; `$` is the whole document.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
}

impl From<Defect> for FieldError {
    fn from(defect: Defect) -> Self {
        Self { field: defect.field, problem: defect.problem }
    }
}

impl Problem {
    /// A problem of the kind `kind`, a short hyphenated name.
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:quizmentor:problem:{kind}"),
            title: title(kind),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 401: no token, or none that is valid.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// 403: the account may not do this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: nothing there, or nothing that the account may know of.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 409: the request does not fit the present state.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 422: understood, but with mistakes in its values.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = errors
            .first()
            .map(|first| format!("{}: {}", first.field, first.problem))
            .unwrap_or_default();
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-values", detail) }
    }

    /// 422 with a single mistake.
    #[must_use]
    pub fn invalid_field(field: &str, problem: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), problem: problem.into() }])
    }

    /// 429: too many requests.
    #[must_use]
    pub fn too_many_requests(retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after.max(1)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests; wait before trying again.",
            )
        }
    }

    /// 503: a part that the request needs is away for the moment.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// 500: a fault of ours; what happened goes to the log, not to the client.
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed; the fault has been logged.",
        )
    }
}

fn title(kind: &str) -> String {
    let mut words = kind.replace('-', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<quizmentor_store::Error> for Problem {
    fn from(error: quizmentor_store::Error) -> Self {
        use quizmentor_store::Error;
        match error {
            Error::NotFound(what) => Self::not_found(format!("There is no such {what}.")),
            Error::Conflict(what) => Self::conflict(format!(
                "The {what} is taken or was changed at the same time; read it again and retry."
            )),
            Error::Invalid { what, problem } => Self::invalid_field(what, problem),
            Error::Unavailable { .. } | Error::Full { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "store unavailable");
                Self::unavailable("The store cannot take this at the moment; try again.")
            }
            Error::Corrupt { .. } => Self::internal(&error),
        }
    }
}
