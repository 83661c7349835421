//! Traces: the spans of a share of the requests, sent by OTLP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use metrics::Unit;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId, TracerProvider},
};
use opentelemetry_otlp::WithTonicConfig;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult,
        SdkTracerProvider, ShouldSample, Span, SpanData, SpanExporter, SpanProcessor,
    },
};
use tonic::transport::{Channel, Endpoint};
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets};

use crate::{config, logging::Output};

/// Longest time for spans to be taken, also at the end.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often a receiver that has not answered yet must show that it lives.
const PULSE: Duration = Duration::from_secs(10);
/// Spans that wait to be sent; more are lost.
const QUEUE: usize = 4_096;
/// Spans sent together at most.
const BATCH: usize = 512;
/// How long spans wait for others to be sent with.
const DELAY: Duration = Duration::from_secs(2);
/// Name of the counter of spans that were not taken.
const LOST: &str = "trace_spans_lost_total";

/// Says what the metrics of this module mean, and begins to count.
pub(crate) fn describe() {
    metrics::describe_counter!(
        LOST,
        Unit::Count,
        "Spans that could not be sent, or waited too long"
    );
    metrics::counter!(LOST).increment(0);
}

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
        let waiting = Arc::default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(channel(url.as_str()).context("the setting [traces] url")?)
            .build()?;
        let exporter =
            Watched { exporter, waiting: Arc::clone(&waiting), fails: AtomicBool::new(false) };
        let processor = batches(exporter);
        let roots = Requests(Sampler::TraceIdRatioBased(config.share));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded { processor, waiting })
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
            .with_tracked_inactivity(false)
            // Libraries may tell at debug what no trace should hold.
            .with_filter(Targets::new().with_target("quizmentor", Level::TRACE));
        Some(layer.boxed())
    }

    /// Sends what has not been sent.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown_with_timeout(TIMEOUT)) {
            tracing::warn!(%error, "the last traces may be lost");
        }
    }
}

/// Sends spans in batches. What is set here, variables of the environment do not change.
fn batches(exporter: impl SpanExporter + 'static) -> BatchSpanProcessor {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    BatchSpanProcessor::builder(exporter).with_batch_config(config).build()
}

/// A connection that is made when it is needed, and left when the receiver is gone.
fn channel(url: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT)
        .http2_keep_alive_interval(PULSE)
        .keep_alive_timeout(TIMEOUT)
        .connect_lazy())
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

/// Counts what does not fit into the queue, which would be lost without a word.
#[derive(Debug)]
struct Bounded {
    processor: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            self.processor.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!(LOST).increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// Counts what is not taken, and says so when that begins and when it ends.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    fails: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let taken = self.exporter.export(batch).await;
        let failed_before = self.fails.swap(taken.is_err(), Ordering::Relaxed);
        match &taken {
            Err(error) => {
                metrics::counter!(LOST).increment(spans as u64);
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

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use opentelemetry::trace::Tracer;

    use super::*;

    /// A receiver that takes nothing while the lock is held.
    #[derive(Debug)]
    struct Slow(Arc<Mutex<()>>);

    impl SpanExporter for Slow {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            drop(self.0.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(())
        }
    }

    #[test]
    fn only_so_many_spans_wait() {
        let (lock, waiting) = (Arc::default(), Arc::<AtomicUsize>::default());
        let exporter = Watched {
            exporter: Slow(Arc::clone(&lock)),
            waiting: Arc::clone(&waiting),
            fails: AtomicBool::new(false),
        };
        let held = lock.lock().unwrap();
        let processor = batches(exporter);
        let bounded = Bounded { processor, waiting: Arc::clone(&waiting) };
        let provider = SdkTracerProvider::builder().with_span_processor(bounded).build();
        let tracer = provider.tracer("test");
        for _ in 0..2 * QUEUE {
            drop(tracer.start("span"));
        }
        assert_eq!(waiting.load(Ordering::Relaxed), QUEUE);
        drop(held);
        provider.shutdown().unwrap();
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
