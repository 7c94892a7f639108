//! Spans at receivers of OTLP in this process, over both transports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge::{Clock, Edge, Pipeline, Recorder};
use limits::{LimitsState, SourceDocument};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prometheus::Registry;
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as Attributes};
use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{AttributeContext, CheckResponse};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use runtime::testing::until;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::*;
use crate::envoy::{CheckService, check_response, push_from};
use receiver::Receiver;

mod receiver;

const LIMITS: &str = "overrides: { small: { ingestion_rate: 0.001, ingestion_burst_size: 1 } }";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn parent(span: &str, flags: &str) -> String {
    format!("00-{TRACE}-{span}-{flags}")
}

/// A service that is traced, and what shows that.
struct Traced {
    service: CheckService,
    metrics: SpanMetrics,
    stop: CancellationToken,
    exporting: JoinHandle<()>,
}

impl Traced {
    fn start(variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = TraceSettings::read(variables.collect())?.context("traces are on")?;
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let metrics = SpanMetrics::new(&registry)?;
        let (traces, exporting) = Traces::start(&settings, metrics.clone(), &Tasks::new(stop.clone()))?;
        let service = CheckService::new(edge(&registry)?, None, Some(traces));
        Ok(Self { service, metrics, stop, exporting })
    }

    async fn push(&self, tenant: &str, of_push: Option<&str>, of_call: Option<&str>) -> anyhow::Result<CheckResponse> {
        Ok(self.service.check(request(tenant, of_push, of_call)?).await?.into_inner())
    }
}

fn edge(registry: &Registry) -> anyhow::Result<Edge> {
    let limits = LimitsState::new(limits::TenantLimits::default(), true);
    let snapshot = { limits }.apply(&[SourceDocument::new("runtime.yaml", LIMITS)]).snapshot.context("limits")?;
    let (pipeline, _) = Pipeline::by_limits(snapshot, Clock::start());
    Ok(Edge::new(Arc::new(pipeline), Recorder::new(None, registry)?))
}

/// A push of two samples, with a trace of the client's and one of Envoy's.
fn request(tenant: &str, of_push: Option<&str>, of_call: Option<&str>) -> anyhow::Result<Request<CheckRequest>> {
    let line = |key: &str, value: &str| HeaderValue {
        key: key.to_owned(),
        value: Bytes::new(),
        raw_value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let trace = of_push.map(|trace| line("traceparent", trace));
    let series = Series {
        labels: vec![("__name__".into(), "up".into())],
        samples: vec![(1.0, 1), (1.0, 2)],
        ..Series::default()
    };
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers: trace.into_iter().chain([line("x-scope-orgid", tenant)]).collect() }),
        raw_body: encode_push(Protocol::V1, &[series], &[])?.into(),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext { request: Some(Attributes { http: Some(http) }), ..AttributeContext::default() };
    let mut request = Request::new(CheckRequest { attributes: Some(attributes) });
    if let Some(trace) = of_call {
        request.metadata_mut().insert("traceparent", trace.parse()?);
    }
    Ok(request)
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_span_says_what_was_decided_and_continues_the_trace() -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start().await?;
        let endpoint = receiver.endpoint(protocol);
        let traced =
            Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)])?;
        traced.push("small", Some(&parent("b7ad6b7169203331", "01")), None).await?;
        traced.push("other", Some(&parent("1111111111111111", "01")), Some(&parent("2222222222222222", "01"))).await?;
        // Not sampled, by the client or by Envoy.
        traced.push("other", Some(&parent("3333333333333333", "00")), None).await?;
        traced.push("other", Some(&parent("3333333333333333", "01")), Some(&parent("4444444444444444", "00"))).await?;
        until("both spans are there", async || Ok(receiver.spans().len() == 2)).await?;
        let [denied, allowed] = &receiver.spans()[..] else { anyhow::bail!("{:?}", receiver.spans()) };
        assert_eq!(
            (hex(&denied.trace_id), hex(&denied.parent_span_id)),
            (TRACE.to_owned(), "b7ad6b7169203331".to_owned())
        );
        assert_eq!(hex(&allowed.parent_span_id), "2222222222222222", "Envoy's goes first");
        for (span, name, expected) in [
            (denied, "edge.tenant", "small"),
            (denied, "edge.decision", "deny"),
            (denied, "edge.reason", "ingestion_burst"),
            (denied, "edge.mode", "enforce"),
            (denied, "edge.items", "2"),
            (denied, "http.response.status_code", "429"),
            (allowed, "edge.tenant", "other"),
            (allowed, "edge.decision", "allow"),
            (allowed, "edge.reason", "within_limits"),
        ] {
            assert_eq!(attribute(span, name).as_deref(), Some(expected), "{name}");
        }
        assert!(attribute(allowed, "edge.body_bytes").is_some());
        let events: Vec<_> = allowed.events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(events, ["identified", "decoded", "charged", "recorded"]);
        assert_eq!(receiver.service().as_deref(), Some("mimir-rls"));
        until("both are counted", async || Ok(traced.metrics.exported() == 2)).await?;
        assert_eq!(traced.metrics.dropped(), [0, 0, 0]);
    }
    Ok(())
}

#[tokio::test]
async fn a_long_tenant_is_cut_and_a_bad_trace_ignored() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let traced = Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint("http/protobuf"))])?;
    traced.push(&"x".repeat(10_000), Some("00-0-0-01"), None).await?;
    until("the span is there", async || Ok(receiver.spans().len() == 1)).await?;
    let span = &receiver.spans()[0];
    assert_eq!(attribute(span, "edge.tenant").map(|tenant| tenant.len()), Some(150));
    assert_eq!((span.parent_span_id.len(), attribute(span, "edge.reason")), (0, Some("tenant_invalid".to_owned())));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_down_costs_spans_alone() -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf"] {
        let endpoint =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let traced = Traced::start(&endpoint)?;
        assert_eq!(traced.push("other", None, None).await?.status.map(|status| status.code), Some(0));
        until("the span is counted", async || Ok(traced.metrics.dropped() == [0, 1, 0])).await?;
    }
    Ok(())
}

/// The receiver accepts connections and never answers.
#[tokio::test]
async fn a_hanging_receiver_delays_neither_decisions_nor_the_end() -> anyhow::Result<()> {
    const PUSHES: u64 = 4_000;
    let hanging = std::net::TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", hanging.local_addr()?);
    let traced = Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)])?;
    let started = Instant::now();
    for _ in 0..PUSHES {
        assert_eq!(traced.push("other", None, None).await?.status.map(|status| status.code), Some(0));
    }
    let [queue_full, export_failed, _] = traced.metrics.dropped();
    assert!(queue_full >= PUSHES - 2_048 - 2 * 512, "{queue_full}");
    assert_eq!(export_failed, 0, "pushed within {:?}", started.elapsed());
    let stopped = Instant::now();
    traced.stop.cancel();
    traced.exporting.await?;
    assert!(stopped.elapsed() < Duration::from_secs(6), "{:?}", stopped.elapsed());
    let [queue_full, _, not_flushed] = traced.metrics.dropped();
    assert_eq!(queue_full + not_flushed, PUSHES);
    Ok(())
}

#[tokio::test]
async fn what_is_queued_is_sent_at_the_end() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let traced = Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint("http/protobuf"))])?;
    for _ in 0..1_000 {
        traced.push("other", None, None).await?;
    }
    traced.stop.cancel();
    traced.exporting.await?;
    assert_eq!(
        (receiver.spans().len(), traced.metrics.exported(), traced.metrics.dropped()),
        (1_000, 1_000, [0, 0, 0])
    );
    Ok(())
}

#[tokio::test]
async fn the_sampler_decides_where_there_is_no_trace() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let endpoint = receiver.endpoint("http/protobuf");
    let sampler = |name| [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_TRACES_SAMPLER", name)];
    for (name, in_none, in_sampled) in
        [("parentbased_always_off", 0, 1), ("always_off", 0, 0), ("always_on", 1, 1), ("parentbased_always_on", 1, 1)]
    {
        let (before, traced) = (receiver.spans().len(), Traced::start(&sampler(name))?);
        traced.push("other", None, None).await?;
        traced.push("other", Some(&parent("b7ad6b7169203331", "01")), None).await?;
        traced.stop.cancel();
        traced.exporting.await?;
        assert_eq!(receiver.spans().len() - before, in_none + in_sampled, "{name}");
    }
    Ok(())
}

/// What answers a call where there are no traces in the program.
async fn plain(edge: &Edge, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
    let started = std::time::Instant::now();
    let push = push_from(request.into_inner(), None);
    let outcome = edge.check(&push, started).await.map_err(|why| Status::unavailable(why.as_str()))?;
    Ok(Response::new(check_response(outcome)))
}

#[tokio::test]
async fn a_call_without_traces_has_no_room_for_a_span() -> anyhow::Result<()> {
    let edge = edge(&Registry::new())?;
    let service = CheckService::new(edge.clone(), None, None);
    let call = service.check(request("other", Some(&parent("b7ad6b7169203331", "01")), None)?);
    let plain = plain(&edge, request("other", None, None)?);
    let (call, plain) = (size_of_val(&*call), size_of_val(&plain));
    assert!(call <= plain + 64, "{call} bytes, and {plain} without traces");
    Ok(())
}

impl SpanMetrics {
    fn exported(&self) -> u64 {
        self.exported.get()
    }

    fn dropped(&self) -> [u64; 3] {
        [&self.queue_full, &self.export_failed, &self.not_flushed].map(prometheus::IntCounter::get)
    }
}
