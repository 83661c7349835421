use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Content type of a stream of events.
const EVENTS: &str = "text/event-stream";

/// Sends requests straight to the routes.
#[derive(Clone)]
pub struct Client {
    router: Router,
    token: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, token: None }
    }

    /// The same client with the token `token`.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        let token = format!("Bearer {token}").parse().unwrap();
        Self { router: self.router.clone(), token: Some(token) }
    }

    /// A client with this one's token, if it has one, of another installation.
    #[must_use]
    pub fn at(&self, other: &Self) -> Self {
        Self { router: other.router.clone(), token: self.token.clone() }
    }

    /// The response to a GET, whose body may go on for ever.
    pub async fn open(&self, path: &str) -> Response<Body> {
        self.respond(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn respond(&self, mut request: Request<Body>) -> Response<Body> {
        if let Some(token) = &self.token {
            request.headers_mut().entry(header::AUTHORIZATION).or_insert_with(|| token.clone());
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends `request`, with this client's token unless it has another. Of a stream of events,
    /// which has no end, none is awaited.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let request_line = format!("{} {}", request.method(), request.uri());
        let response = self.respond(request).await;
        let (parts, body) = response.into_parts();
        let is_endless = parts.headers.get(header::CONTENT_TYPE).is_some_and(|of| of == EVENTS);
        let body = if is_endless { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        Reply { request: request_line, status: parts.status, headers: parts.headers, body }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send_body(Method::POST, path, "application/json", body.to_string()).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send_body(Method::PUT, path, "application/json", body.to_string()).await
    }

    /// Any method with any body.
    pub async fn send_body(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content_type)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    request: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header as text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON, `null` when there is none, after a check of the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{}: {text}", self.request);
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// The problem document, after a check that it is a whole one with that status.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.request);
        assert_eq!(problem["status"], status, "{problem}");
        let is_full = |field: &str| problem[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(["type", "title", "detail"].into_iter().all(is_full), "{problem}");
        problem
    }
}
