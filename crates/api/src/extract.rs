//! Extractors that answer bad input with a [`Problem`] saying what is wrong and where.

use std::fmt::Display;

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use quizmentor_core::limits;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Problem;

/// A JSON body of at most [`limits::BODY`] bytes.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_content_type(request.headers(), "application/json")?;
        let body = read_body(request, limits::BODY).await?;
        parse_json(&body).map(Self)
    }
}

/// A UTF-8 text body of at most [`limits::IMPORT`] bytes.
#[derive(Debug)]
pub(crate) struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_content_type(request.headers(), "text/plain")?;
        let body = read_body(request, limits::IMPORT).await?;
        String::from_utf8(body.into()).map(Self).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::bad_request(format!("The body is not UTF-8 text: bad byte at offset {at}."))
        })
    }
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// Path parameters; what cannot be an identifier names nothing, so it is a 404.
#[derive(Debug)]
pub(crate) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|rejection: PathRejection| Problem::not_found(rejection.body_text()))
    }
}

fn expect_content_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next()).map(str::trim);
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let given = given.unwrap_or("none");
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("Content-Type must be {expected}; got {given}."),
    ))
}

async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            format!("The body is larger than the limit of {limit} bytes."),
        )),
        Err(_) => Err(Problem::bad_request("The body ended early.")),
    }
}

/// Malformed JSON is a 400 with line and column; JSON of the wrong shape is a 422 with the
/// path of the field.
fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        malformed(format!("it is not UTF-8, bad byte at offset {}", error.valid_up_to()))
    })?;
    serde_json::from_str::<IgnoredAny>(text).map_err(malformed)?;
    // A list of the values in order would do for serde.
    if !text.trim_start().starts_with('{') {
        return Err(Problem::invalid_field("$", "must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "$" } else { &path };
        Problem::invalid_field(field, error.inner().to_string())
    })
}

fn malformed(error: impl Display) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-json",
        format!("The body is not valid JSON: {error}."),
    )
}
