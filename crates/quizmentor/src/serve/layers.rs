//! What every request passes through: identity, span, metrics, the net under panics, a deadline.

use std::{any::Any, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use metrics::Unit;
use quizmentor_api::Problem;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, field};
use uuid::Uuid;

use super::health;
use crate::config::Config;

/// Name of the request histogram.
pub(crate) const REQUEST_SECONDS: &str = "http_request_duration_seconds";

/// Name of the gauge of requests being handled.
const IN_FLIGHT: &str = "http_requests_in_flight";

/// Header with the request's identity, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer identity than this (bytes) is not taken over from the client.
const REQUEST_ID_BYTES: usize = 64;

/// Says what the metrics of this module mean.
pub(crate) fn describe() {
    metrics::describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from a request's head to its response's head, by route and status"
    );
    metrics::describe_gauge!(IN_FLIGHT, "Requests being handled");
}

/// `router` with all that every request passes through around its routes.
pub(crate) fn wrap(router: Router, config: Arc<ArcSwap<Config>>) -> Router {
    let traced = config.load().traces.url.is_some();
    router
        .layer(middleware::from_fn_with_state(config, deadline))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(traced, observe))
}

async fn deadline(
    State(config): State<Arc<ArcSwap<Config>>>,
    request: Request,
    next: Next,
) -> Response {
    let limit = config.load().server.request_timeout;
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("The request was not finished within {} s.", limit.as_secs_f64());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
    })
}

/// The panic itself, with its place, is logged by the panic hook within the request's span.
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    let detail = "The server failed; the fault has been logged.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}

async fn observe(State(traced): State<bool>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = method_label(request.method());
    // The template, not the path: a path may hold a sign-in token, and templates are few.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let traced = traced && !health::ROUTES.contains(&route.as_str());
    let span = tracing::info_span!(
        "request",
        otel.name = traced.then(|| format!("{method} {route}")),
        otel.kind = traced.then_some("server"),
        otel.status_code = field::Empty,
        id = id.to_str().unwrap_or_default(),
        method,
        route,
        status = field::Empty,
    );

    let started = Instant::now();
    metrics::gauge!(IN_FLIGHT).increment(1.0);
    let _in_flight = OnDrop(|| metrics::gauge!(IN_FLIGHT).decrement(1.0));
    let mut response = next.run(request).instrument(span.clone()).await;
    let (elapsed, status) = (started.elapsed(), response.status());
    response.headers_mut().insert(REQUEST_ID, id);

    let labels =
        [("method", method.to_owned()), ("route", route), ("status", status.as_str().to_owned())];
    metrics::histogram!(REQUEST_SECONDS, &labels).record(elapsed);
    let (status, milliseconds) = (status.as_u16(), elapsed.as_secs_f64() * 1e3);
    span.in_scope(|| {
        if status >= 500 {
            tracing::warn!(status, milliseconds, "failed");
        } else {
            tracing::debug!(status, milliseconds, "answered");
        }
    });
    // A number of another type would go into traces as text.
    span.record("status", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The client's identity for the request if it is short and harmless, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    headers
        .get(REQUEST_ID)
        .filter(|id| (1..=REQUEST_ID_BYTES).contains(&id.len()))
        .filter(|id| id.as_bytes().iter().all(harmless))
        .cloned()
        .unwrap_or_else(|| {
            let id = Uuid::new_v4().hyphenated().to_string();
            HeaderValue::try_from(id).expect("hexadecimal digits and hyphens")
        })
}

/// Methods that clients invent must not multiply the series.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Runs a closure when dropped, so also when the client has left and the request is abandoned.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
