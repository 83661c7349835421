//! Traces, taken by a server that speaks OTLP by its published definitions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

use crate::{
    learner::Learner,
    postgres::Postgres,
    process::{Server, until},
    redis::Redis,
};

/// Longer than spans are kept back.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came in; clones share it.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Taken {
    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|spans| &spans.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What is told of whoever sent the first spans.
    fn resource(&self) -> HashMap<String, String> {
        let requests = self.0.lock().unwrap();
        texts(&requests[0].resource_spans[0].resource.as_ref().unwrap().attributes)
    }
}

/// A receiver of traces; gone when dropped.
struct Receiver {
    taken: Taken,
    url: String,
    _runtime: Runtime,
}

impl Receiver {
    fn start() -> Self {
        let (runtime, taken) = (Runtime::new().unwrap(), Taken::default());
        let url = runtime.block_on(async {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let url = format!("http://{}", incoming.local_addr().unwrap());
            let service = TraceServiceServer::new(taken.clone());
            let server = tonic::transport::Server::builder().add_service(service);
            tokio::spawn(server.serve_with_incoming(incoming));
            url
        });
        Self { taken, url, _runtime: runtime }
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(text) => Some((attribute.key.clone(), text)),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

#[test]
fn a_request_is_followed_to_the_servers_that_it_calls() {
    let (postgres, redis, receiver) = (Postgres::start(), Redis::start(), Receiver::start());
    let server = Server::start(&[
        ("QUIZMENTOR__RECORDS__URL", &postgres.url()),
        ("QUIZMENTOR__CACHE__URL", &redis.url()),
        ("QUIZMENTOR__TRACES__URL", &receiver.url),
        ("QUIZMENTOR__TRACES__SHARE", "1"),
        ("RUST_LOG", "debug"),
    ]);
    let mut learner = Learner::begin(server.address);
    learner.answer_at_last(server.address, &mut Vec::new());
    server.get("/readyz");
    assert!(learner.ask(server.address, "GET", "/v1/sessions/unknown").0 >= 400);
    // What is still kept back is sent at the end.
    server.signal("TERM");
    let (status, _, log) = server.wait();
    assert!(status.success(), "{log}");

    let spans = receiver.taken.spans();
    let answer = "POST /v1/sessions/{id}/answers";
    let request = spans.iter().find(|span| span.name == answer).unwrap();
    assert_eq!((request.kind(), request.parent_span_id.len()), (SpanKind::Server, 0));
    assert_eq!(texts(&request.attributes)["method"], "POST");
    let status = request.attributes.iter().find(|attribute| attribute.key == "status").unwrap();
    let status = status.value.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(*status, Value::IntValue(200), "a number can be compared in queries");
    let calls: Vec<_> =
        spans.iter().filter(|span| span.parent_span_id == request.span_id).collect();
    assert!(calls.iter().all(|call| call.trace_id == request.trace_id));
    let commit = calls
        .iter()
        .find(|call| texts(&call.attributes).get("operation").is_some_and(|o| o == "commit_answer"))
        .unwrap();
    assert_eq!((commit.name.as_str(), commit.kind()), ("postgres", SpanKind::Client));
    assert!(commit.start_time_unix_nano >= request.start_time_unix_nano);
    assert!(commit.end_time_unix_nano <= request.end_time_unix_nano);
    assert!(calls.iter().any(|call| call.name == "redis"), "{calls:?}");
    for root in spans.iter().filter(|span| span.parent_span_id.is_empty()) {
        assert_eq!(root.kind(), SpanKind::Server, "{root:?}");
        assert!(!root.name.contains("readyz"), "{root:?}");
    }
    let events: Vec<_> = spans.iter().flat_map(|span| &span.events).collect();
    assert!(!events.is_empty());
    for event in events {
        assert!(texts(&event.attributes)["target"].starts_with("quizmentor"), "{event:?}");
    }
    let resource = receiver.taken.resource();
    assert_eq!(resource["service.name"], "quizmentor");
    assert!(!resource["host.name"].is_empty());
}

#[test]
fn traces_that_nobody_takes_are_counted_and_disturb_nothing() {
    let unheard = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(&[
        ("QUIZMENTOR__TRACES__URL", &format!("http://{unheard}")),
        ("QUIZMENTOR__TRACES__SHARE", "1"),
    ]);
    let mut learner = Learner::begin(server.address);
    let lost = || {
        let metrics = server.get("/metrics");
        let line = metrics.lines().find(|line| line.starts_with("trace_spans_lost_total "));
        !line.unwrap().ends_with(" 0")
    };
    until(PATIENCE, "the loss is counted", lost);
    learner.answer_at_last(server.address, &mut Vec::new());
    learner.agree(server.address);
    server.signal("TERM");
    let (status, _, log) = server.wait();
    assert!(status.success(), "{log}");
    assert_eq!(log.matches("traces are lost").count(), 1, "{log}");
}

#[test]
fn only_a_share_of_the_requests_is_followed() {
    let receiver = Receiver::start();
    let traced = |share| {
        let server = Server::start(&[
            ("QUIZMENTOR__TRACES__URL", &receiver.url),
            ("QUIZMENTOR__TRACES__SHARE", share),
        ]);
        let before = receiver.taken.spans().len();
        for _ in 0..200 {
            server.get("/v1/unknown");
        }
        server.signal("TERM");
        assert!(server.wait().0.success());
        receiver.taken.spans().len() - before
    };
    assert_eq!(traced("0"), 0);
    assert!((50..150).contains(&traced("0.5")));
}
