//! The server around routes that misbehave, over real connections.

use std::{convert::Infallible, future::pending, net::SocketAddr};

use axum::{body::Body, extract::ConnectInfo, http::Request, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};
use tower::ServiceExt;

use super::*;

struct Routes(Router);

impl Application for Routes {
    fn router(&self) -> Router {
        self.0.clone()
    }
}

/// A server of `routes` under the default settings with `change` made to them.
async fn serve(routes: Router, change: impl FnOnce(&mut Config)) -> (Running, SocketAddr) {
    let mut config = config::load(None, []).unwrap();
    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(ArcSwap::from_pointee(config));
    (Running::start(&Arc::new(Routes(routes)), vec![listener], config), address)
}

async fn send(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn receive(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn fetch(address: SocketAddr, path: &str) -> String {
    receive(send(address, path).await).await
}

fn assert_problem(answer: &str, status: u16, kind: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-request-id: "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:quizmentor:problem:{kind}"));
}

/// A route that tells when a request has come to it, and replies once it may.
fn held() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        async move || {
            entered.notify_one();
            leave.notified().await;
            "done"
        }
    };
    (Router::new().route("/", get(handler)), entered, leave)
}

#[tokio::test]
async fn a_panic_is_one_requests_problem() {
    async fn panics() {
        panic!("secret of the handler");
    }
    let routes = Router::new().route("/panic", get(panics)).route("/well", get(async || "well"));
    let (_running, address) = serve(routes, |_| {}).await;
    let answer = fetch(address, "/panic").await;
    assert_problem(&answer, 500, "internal");
    assert!(!answer.contains("secret"), "{answer}");
    assert!(fetch(address, "/well").await.ends_with("well"));
}

#[tokio::test]
async fn a_request_has_a_deadline() {
    let routes = Router::new().route("/", get(async || pending::<()>().await));
    let timeout = Duration::from_millis(50);
    let (_running, address) = serve(routes, |c| c.server.request_timeout = timeout).await;
    assert_problem(&fetch(address, "/").await, 504, "timeout");
}

#[tokio::test]
async fn a_fault_and_draining_make_unready() {
    let health = Arc::new(Health::default());
    let routes = health::routes(Arc::clone(&health));
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ask("/readyz").await, (200, "ready\n".to_owned()));
    health.set_fault(Some("the records are away".to_owned()));
    let (status, body) = ask("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("the records are away"), "{body}");
    health.set_fault(None);
    assert_eq!(ask("/readyz").await.0, 200);
    health.set_draining();
    let (status, body) = ask("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("draining"), "{body}");
    assert_eq!(ask("/livez").await, (200, "alive\n".to_owned()));
}

#[tokio::test]
async fn draining_waits_for_the_handler() {
    let (routes, entered, leave) = held();
    let (running, address) = serve(routes, |_| {}).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let stream = send(address, "/").await;
    entered.notified().await;
    running.stop.send_replace(true);
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "it is closed, for nothing runs on it");
    leave.notify_one();
    assert!(receive(stream).await.ends_with("done"));
    running.server.await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let routes = Router::new().route("/", get(async || "served"));
    let (_running, address) = serve(routes, |config| config.limits.connections = 1).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let second = send(address, "/").await;
    let unserved = time::timeout(Duration::from_millis(100), second.readable()).await;
    assert!(unserved.is_err(), "the first connection still holds the only place");
    drop(first);
    assert!(receive(second).await.ends_with("served"));
}

#[tokio::test]
async fn requests_take_turns_and_too_many_are_told_to_come_back() {
    let (routes, entered, leave) = held();
    let (_running, address) = serve(routes, |config| {
        config.limits.requests = 1;
        config.limits.queue = 1;
        config.limits.queue_timeout = Duration::from_secs(60);
    })
    .await;
    let first = send(address, "/").await;
    entered.notified().await;
    let second = send(address, "/").await;
    let metrics = async || fetch(address, "/metrics").await;
    while !metrics().await.contains("\nhttp_requests_in_flight 3\n") {}
    let refused = fetch(address, "/").await;
    assert_problem(&refused, 429, "too-many-requests");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(fetch(address, "/livez").await.ends_with("alive\n"), "health does not queue");
    leave.notify_one();
    assert!(receive(first).await.ends_with("done"));
    entered.notified().await;
    leave.notify_one();
    assert!(receive(second).await.ends_with("done"), "it had its turn");
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_not_waited_for() {
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = Arc::clone(&entered);
        async move || {
            entered.notify_one();
            pending::<()>().await;
        }
    };
    let (_running, address) = serve(Router::new().route("/", get(handler)), |config| {
        config.limits.requests = 1;
        config.limits.queue_timeout = Duration::from_millis(50);
    })
    .await;
    let first = send(address, "/").await;
    entered.notified().await;
    assert_problem(&fetch(address, "/").await, 429, "too-many-requests");
    drop(first);
    let again = send(address, "/").await;
    entered.notified().await;
    drop(again);
}

#[tokio::test]
async fn a_body_that_does_not_come_keeps_no_place() {
    let routes = Router::new().route("/", get(async || "served").post(async || "taken"));
    let (_running, address) = serve(routes, |config| {
        config.limits.requests = 1;
        config.limits.queue_timeout = Duration::from_millis(50);
    })
    .await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n";
    slow.write_all(format!("{head}content-length: 2\r\n\r\na").as_bytes()).await.unwrap();
    for _ in 0..5 {
        assert!(fetch(address, "/").await.ends_with("served"));
    }
    slow.write_all(b"b").await.unwrap();
    assert!(receive(slow).await.ends_with("taken"));
}

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let routes = Router::new().route("/", get(async || "served"));
    let (_running, address) =
        serve(routes, |config| config.limits.connections_per_address = 1).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let _ = second.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 429 "), "{}", String::from_utf8_lossy(&answer));
    drop(first);
    // The place is free once the server has seen the first one leave.
    while !fetch(address, "/").await.ends_with("served") {}
}

#[tokio::test]
async fn a_request_is_of_whom_a_trusted_proxy_names() {
    let who = async |ConnectInfo(client): ConnectInfo<SocketAddr>| client.ip().to_string();
    for (trusted, client) in [("127.0.0.0/8", "192.0.2.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let (_running, address) = serve(Router::new().route("/", get(who)), |config| {
            config.server.trusted_proxies = vec![trusted.parse().unwrap()];
        })
        .await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "GET / HTTP/1.1\r\nhost: test\r\nx-forwarded-for: 192.0.2.7\r\n";
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let answer = receive(stream).await;
        assert!(answer.ends_with(client), "{answer}");
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped() {
    let chunk = axum::body::Bytes::from(vec![0; 1 << 20]);
    let endless = async move || {
        let chunks = futures_util::stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone()));
        Body::from_stream(chunks)
    };
    let (running, address) = serve(Router::new().route("/", get(endless)), |config| {
        config.limits.header_timeout = Duration::from_millis(50);
        config.limits.idle_timeout = Duration::from_millis(50);
        config.server.request_timeout = Duration::from_millis(50);
    })
    .await;
    let mut stream = send(address, "/").await;
    stream.read_u8().await.unwrap();
    // Draining has no limit here: it ends because the connection is given up.
    running.stop.send_replace(true);
    running.server.await.unwrap();
}
