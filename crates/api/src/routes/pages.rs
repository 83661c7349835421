//! The web page, embedded in the binary.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
    routing::get,
};

use crate::App;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal => $file:literal, $kind:expr;)*) => {
        /// Path, media type and content of each file.
        const FILES: &[(&str, &str, &str)] =
            &[$(($path, $kind, include_str!(concat!("../../../../web/", $file)))),*];
    };
}

files! {
    "/" => "index.html", HTML;
    "/summary.js" => "summary.js", SCRIPT;
    "/style.css" => "style.css", STYLE;
    "/api.js" => "api.js", SCRIPT;
    "/app.js" => "app.js", SCRIPT;
    "/authors.js" => "authors.js", SCRIPT;
    "/bloom.js" => "bloom.js", SCRIPT;
    "/markup.js" => "markup.js", SCRIPT;
    "/practice.js" => "practice.js", SCRIPT;
    "/progress.js" => "progress.js", SCRIPT;
    "/question.js" => "question.js", SCRIPT;
    "/favicon.svg" => "favicon.svg", SVG;
}

const POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

pub(super) fn routes() -> Router<Arc<App>> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { page(kind, text) }))
    })
}

fn page(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, text)
}
