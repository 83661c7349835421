//! The Unleash server that tests use, and servers that behave badly.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, header};
use quizmentor_services::http::{self, Client};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

/// Longest time that a start of the server may take, or what it does in the background.
const PATIENCE: Duration = Duration::from_mins(2);

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("${name} is not set: run tests as `tests/with-servers cargo nextest run`")
    })
}

/// A real server.
pub(crate) struct Server {
    url: String,
    client: Client,
}

impl Server {
    /// Waits until it serves.
    pub(crate) async fn ready() -> Self {
        let server = Self { url: setting("UNLEASH_URL"), client: Client::default() };
        let healthy = async {
            while !server.is_healthy().await {
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(PATIENCE, healthy).await.unwrap();
        server
    }

    async fn is_healthy(&self) -> bool {
        let request = Request::get(format!("{}/health", self.url)).body(Full::default()).unwrap();
        self.client.send(request).await.is_ok_and(|reply| reply.status().is_success())
    }

    /// The address that adapters are given.
    pub(crate) fn api(&self) -> String {
        format!("{}/api", self.url)
    }

    pub(crate) fn token() -> String {
        setting("UNLEASH_CLIENT_TOKEN")
    }

    /// A new flag, off; its name.
    pub(crate) async fn flag(&self) -> String {
        let name = format!("flag-{}", Uuid::new_v4().simple());
        self.post("", &json!({ "name": name })).await;
        name
    }

    /// Turns the flag on for a share of the learners, in percent, and waits until clients are told.
    pub(crate) async fn roll_out(&self, flag: &str, percent: u32) {
        let parameters = json!({
            "rollout": percent.to_string(), "stickiness": "userId", "groupId": flag,
        });
        let rules = format!("/{flag}/environments/development/strategies");
        let path = format!("/api/admin/projects/default/features{rules}");
        let there = self.ask(Method::GET, &path, None).await;
        for rule in there.as_array().unwrap() {
            let rule = rule["id"].as_str().unwrap();
            self.ask(Method::DELETE, &format!("{path}/{rule}"), None).await;
        }
        self.post(&rules, &json!({ "name": "flexibleRollout", "parameters": &parameters })).await;
        self.post(&format!("/{flag}/environments/development/on"), &json!({})).await;
        until(async || (self.told(flag).await == parameters).then_some(())).await;
    }

    /// What clients are told of the flag's strategy.
    async fn told(&self, flag: &str) -> Value {
        let flags = self.ask_as(&Self::token(), Method::GET, "/api/client/features", None).await;
        let mut features = flags["features"].as_array().unwrap().iter();
        let feature =
            features.find(|feature| feature["name"] == flag && feature["enabled"] == true);
        feature.map_or(Value::Null, |feature| feature["strategies"][0]["parameters"].clone())
    }

    /// How often clients had the flag, and how often they had not.
    pub(crate) async fn counted(&self, flag: &str) -> (u64, u64) {
        let path = format!("/api/admin/client-metrics/features/{flag}/raw");
        let metrics = self.ask(Method::GET, &path, None).await;
        let rows = metrics["data"].as_array().unwrap();
        let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
        (sum("yes"), sum("no"))
    }

    async fn post(&self, path: &str, body: &Value) {
        let path = format!("/api/admin/projects/default/features{path}");
        self.ask(Method::POST, &path, Some(body)).await;
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.ask_as(&setting("UNLEASH_ADMIN_TOKEN"), method, path, body).await
    }

    async fn ask_as(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Full::default, |body| Bytes::from(body.to_string()).into()));
        let reply = self.client.send(request.unwrap()).await.unwrap();
        let status = reply.status();
        let body = http::body(reply).await.unwrap();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }
}

/// The address of a server that answers the first request of each connection with `reply`, and then
/// neither says more nor closes.
pub(crate) async fn saying(reply: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            request(&mut connection).await;
            connection.write_all(reply).await.unwrap();
            open.push(connection);
        }
    });
    address
}

/// The address of a server that gives one of `replies` to each connection in turn, and the requests
/// that it got.
pub(crate) async fn answering(
    replies: &'static [&'static [u8]],
) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/api", listener.local_addr().unwrap());
    let (requests, got) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for reply in replies {
            let (mut connection, _) = listener.accept().await.unwrap();
            requests.send(request(&mut connection).await).unwrap();
            connection.write_all(reply).await.unwrap();
        }
    });
    (address, got)
}

/// A whole request.
async fn request(connection: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let read = connection.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

/// The address of a port on which nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/api", listener.local_addr().unwrap())
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap()
}
