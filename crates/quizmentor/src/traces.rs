//! Traces: the spans of a share of the requests, sent by OTLP.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use metrics::Unit;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId, TracerProvider},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
        SpanExporter,
    },
};
use tracing_subscriber::Layer;

use crate::{config, logging::Output};

/// Longest time for spans to be taken, also at the end.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Name of the counter of spans that were not taken.
const LOST: &str = "trace_spans_lost_total";

/// Where spans go, if anywhere.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Must be called on a runtime, which must outlast the traces. Whoever takes the spans may be
    /// away and come later.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub(crate) fn start(config: &config::Traces) -> anyhow::Result<Self> {
        let Some(url) = &config.url else { return Ok(Self(None)) };
        metrics::describe_counter!(
            LOST,
            Unit::Count,
            "Spans that the receiver of traces did not take"
        );
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(url.as_str())
            .with_timeout(TIMEOUT)
            .build()
            .context("the setting [traces] url")?;
        let exporter = Watched { exporter, fails: AtomicBool::new(false) };
        let roots = Requests(Sampler::TraceIdRatioBased(config.share));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(roots)))
            .with_resource(resource())
            .build();
        Ok(Self(Some(provider)))
    }

    /// Makes spans of what is logged.
    pub(crate) fn layer(&self) -> Option<Output> {
        let tracer = self.0.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Some(layer.boxed())
    }

    /// Sends what has not been sent.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown_with_timeout(TIMEOUT)) {
            tracing::warn!(%error, "the last traces may be lost");
        }
    }
}

/// Whose spans they are. `$OTEL_RESOURCE_ATTRIBUTES` can tell more.
fn resource() -> Resource {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("host.name", host),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .build()
}

/// Of spans that belong to no other, those of requests alone, and of these a share.
#[derive(Debug, Clone)]
struct Requests(Sampler);

impl ShouldSample for Requests {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if *kind == SpanKind::Server {
            return self.0.should_sample(parent, trace, name, kind, attributes, links);
        }
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: Default::default(),
        }
    }
}

/// Counts what is not taken, and says so when that begins and when it ends.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    fails: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let taken = self.exporter.export(batch).await;
        let failed_before = self.fails.swap(taken.is_err(), Ordering::Relaxed);
        match &taken {
            Err(error) => {
                metrics::counter!(LOST).increment(spans);
                if !failed_before {
                    tracing::warn!(%error, "traces are lost: their receiver does not take them");
                }
            }
            Ok(()) if failed_before => tracing::info!("traces are taken again"),
            Ok(()) => {}
        }
        taken
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
