//! Traces of Checks by OpenTelemetry, if its `OTEL_*` variables turn them on.
//!
//! Without these variables no span is made. A span never delays a decision: it goes to a bounded queue, and what finds no place there is dropped and
//! counted.

mod export;
mod settings;
mod span;
mod web;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanExporter as _};
use proto::envoy::service::auth::v3::CheckRequest;
use tasks::Tasks;
use tokio::task::JoinHandle;
use tonic::Request;

use export::Export;
pub(crate) use export::SpanMetrics;
pub(crate) use settings::TraceSettings;
use settings::Transport;
pub(crate) use span::CheckSpan;
use web::Web;

const SCOPE: &str = "mimir-rls";

/// Makes spans; clones share the queue.
#[derive(Clone)]
pub(crate) struct Traces {
    tracer: SdkTracer,
    /// Holds the queue.
    _provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the task that sends spans. It ends some seconds after `tasks` are stopped, at the latest.
    pub(crate) fn start(
        settings: &TraceSettings,
        metrics: SpanMetrics,
        tasks: &Tasks,
    ) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let resource = settings.resource();
        let mut exporter = settings.exporter()?;
        exporter.set_resource(&resource);
        let (queue, export) = Export::new(exporter, settings.timeout, metrics);
        let builder = SdkTracerProvider::builder().with_sampler(settings.sampler.clone()).with_resource(resource);
        let provider = builder.with_span_processor(queue).build();
        let tracer = provider.tracer(SCOPE);
        let exporting = tasks.spawn_finishing("traces", export.run(tasks.stop().clone()));
        // Not the query, which may hold a secret.
        let receiver = settings.endpoint.authority().map(ToString::to_string).unwrap_or_default();
        tracing::info!(receiver, sampler = ?settings.sampler, "Checks are traced");
        Ok((Self { tracer, _provider: provider }, exporting))
    }

    /// The span of a Check, if it is sampled.
    pub(crate) fn begin(&self, request: &Request<CheckRequest>) -> Option<Box<CheckSpan>> {
        CheckSpan::begin(&self.tracer, request).map(Box::new)
    }
}

impl TraceSettings {
    /// What sends spans. Its headers are those of the environment.
    fn exporter(&self) -> anyhow::Result<SpanExporter> {
        let (endpoint, timeout) = (self.endpoint.to_string(), self.timeout);
        let exporter = match self.transport {
            Transport::Grpc => {
                SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(timeout).build()
            }
            Transport::Http => {
                let web = Web::new(&self.endpoint, timeout).context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
                let builder = SpanExporter::builder().with_http().with_http_client(web);
                builder.with_endpoint(endpoint).with_timeout(timeout).build()
            }
        };
        exporter.context("the exporter of traces cannot be made")
    }

    /// Who sends them, with the attributes of the environment.
    fn resource(&self) -> Resource {
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let name = self.service_name.map(|name| KeyValue::new("service.name", name));
        Resource::builder().with_attributes(name.into_iter().chain([version])).build()
    }
}

#[cfg(test)]
mod tests;
