//! What load balancers, operators and metrics collectors ask: /livez, /readyz, /metrics.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use quizmentor_api::Problem;

use super::{
    admission,
    connection::{CONNECTIONS, REFUSED},
    layers::{self, REQUEST_SECONDS},
};
use crate::traces;

/// Upper bounds of the request histogram's buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Time between two rounds of upkeep.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// Whether requests should come here.
#[derive(Debug, Default)]
pub(crate) struct Health {
    draining: AtomicBool,
    fault: ArcSwapOption<String>,
}

impl Health {
    /// No more requests, please: the process is about to exit.
    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What keeps the process from serving well, or `None`.
    pub(crate) fn set_fault(&self, fault: Option<String>) {
        match (self.fault.load().as_deref(), &fault) {
            (None, Some(fault)) => tracing::error!(fault, "not ready"),
            (Some(_), None) => tracing::info!("ready again"),
            _ => {}
        }
        self.fault.store(fault.map(Arc::new));
    }

    /// Why requests should go elsewhere, if they should.
    pub(crate) fn hindrance(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining: this process is about to exit".to_owned());
        }
        self.fault.load().as_deref().cloned()
    }
}

/// The three routes, which programs ask every few seconds.
pub(super) const ROUTES: [&str; 3] = [LIVEZ, READYZ, METRICS];
const LIVEZ: &str = "/livez";
const READYZ: &str = "/readyz";
const METRICS: &str = "/metrics";

/// What answers them.
pub(crate) fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route(LIVEZ, get(async || "alive\n"))
        .route(READYZ, get(readyz))
        .route(METRICS, get(metrics_text))
        .with_state(health)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    match health.hindrance() {
        None => "ready\n".into_response(),
        Some(hindrance) => Problem::unavailable(hindrance).into_response(),
    }
}

async fn metrics_text() -> Response {
    let (recorder, process) = recorder();
    process.collect();
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, recorder.render()).into_response()
}

/// Folds what was recorded into its buckets again and again, so that memory stays bounded though
/// nobody may ask for the metrics.
pub(crate) async fn upkeep() {
    loop {
        recorder().0.run_upkeep();
        tokio::time::sleep(UPKEEP_PERIOD).await;
    }
}

/// The process's recorder of metrics, made on first use; what is counted before that is lost.
pub(crate) fn recorder() -> &'static (PrometheusHandle, Collector) {
    static RECORDER: OnceLock<(PrometheusHandle, Collector)> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(REQUEST_SECONDS.to_owned()), &BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .expect("no other recorder is installed and there are buckets");
        let process = Collector::default();
        process.describe();
        layers::describe();
        metrics::describe_gauge!(CONNECTIONS, "Open connections");
        metrics::describe_counter!(REFUSED, "Connections beyond their address's share");
        admission::describe();
        traces::describe();
        (recorder, process)
    })
}
