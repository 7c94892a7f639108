//! The way of a span from the call that ended it to the receiver: a bounded queue, and one task that sends batches.

use std::pin::pin;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use prometheus::{IntCounter, Registry, register_int_counter_vec_with_registry, register_int_counter_with_registry};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Spans that wait, as in OpenTelemetry's own batches. Each takes one or two kilobytes, and up to four more for a `tracestate`.
const QUEUED: usize = 2_048;
/// The most spans of one batch.
const BATCH: usize = 512;
/// How long a span waits for others to fill its batch.
const GATHERED_WITHIN: Duration = Duration::from_secs(1);
/// How long the process waits at its end for what is queued.
const FLUSHED_WITHIN: Duration = Duration::from_secs(3);

/// Counters of spans; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SpanMetrics {
    pub(super) exported: IntCounter,
    pub(super) queue_full: IntCounter,
    pub(super) export_failed: IntCounter,
    pub(super) not_flushed: IntCounter,
}

impl SpanMetrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let (name, help) = ("rls_trace_spans_exported_total", "Spans that the receiver of traces took");
        let exported = register_int_counter_with_registry!(name, help, registry)?;
        let (name, help) = ("rls_trace_spans_dropped_total", "Spans that no receiver of traces got, by cause");
        let dropped = register_int_counter_vec_with_registry!(name, help, &["cause"], registry)?;
        let of = |cause| dropped.get_metric_with_label_values(&[cause]);
        let (queue_full, export_failed, not_flushed) = (of("queue_full")?, of("export_failed")?, of("not_flushed")?);
        Ok(Self { exported, queue_full, export_failed, not_flushed })
    }
}

/// Where spans go when they end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<SpanData>,
    full: IntCounter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.full.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task that sends what is queued.
pub(super) struct Export {
    spans: Receiver<SpanData>,
    exporter: SpanExporter,
    timeout: Duration,
    metrics: SpanMetrics,
    /// The spans that are being sent.
    in_flight: usize,
    is_failing: bool,
}

impl Export {
    pub(super) fn new(exporter: SpanExporter, timeout: Duration, metrics: SpanMetrics) -> (Queue, Self) {
        let (sender, spans) = mpsc::channel(QUEUED);
        let queue = Queue { spans: sender, full: metrics.queue_full.clone() };
        (queue, Self { spans, exporter, timeout, metrics, in_flight: 0, is_failing: false })
    }

    /// Sends until `stop`, and then what is left, within [`FLUSHED_WITHIN`].
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let is_flushed = {
            let mut sending = pin!(self.send_all(&stop));
            tokio::select! {
                () = &mut sending => true,
                () = stop.cancelled() => timeout(FLUSHED_WITHIN, sending).await.is_ok(),
            }
        };
        if !is_flushed {
            let lost = self.in_flight.saturating_add(self.spans.len());
            self.metrics.not_flushed.inc_by(count(lost));
            tracing::warn!(waited = ?FLUSHED_WITHIN, lost, "the last spans could not be sent in time; they are lost");
        }
    }

    /// Ends once `stop` is cancelled and nothing is queued.
    async fn send_all(&mut self, stop: &CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch, stop).await {
            self.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).await;
        }
    }

    /// Fills a batch: whole, or as far as there are spans within a time or before the stop. Whether it holds any.
    async fn gather(&mut self, batch: &mut Vec<SpanData>, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            taken = self.spans.recv_many(batch, BATCH) => if taken == 0 { return false },
            () = stop.cancelled() => return false,
        }
        let until = Instant::now() + GATHERED_WITHIN;
        while batch.len() < BATCH {
            let more = timeout_at(until, self.spans.recv_many(batch, BATCH - batch.len()));
            tokio::select! {
                biased;
                taken = more => if !taken.is_ok_and(|taken| taken > 0) { break },
                () = stop.cancelled() => break,
            }
        }
        true
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        self.in_flight = batch.len();
        let sent = match timeout(self.timeout, self.exporter.export(batch)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        };
        let spans = count(std::mem::take(&mut self.in_flight));
        match sent {
            Ok(()) => self.metrics.exported.inc_by(spans),
            Err(_) => self.metrics.export_failed.inc_by(spans),
        }
        // One line each time that it begins or ends to fail.
        if std::mem::replace(&mut self.is_failing, sent.is_err()) != sent.is_err() {
            match sent {
                Ok(()) => tracing::info!("the receiver of traces takes spans again"),
                Err(error) => tracing::warn!("the receiver of traces takes no spans, which are dropped: {error}"),
            }
        }
    }
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}
