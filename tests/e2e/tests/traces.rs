//! Traces of Checks: the trace of a push through the real Envoy, at a receiver of OTLP.

use std::path::Path;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use e2e::{Edge, EdgeBuilder, Signal, TraceReceiver, push_request, samples, until};

const LIMITS: &str = "overrides: { small: { ingestion_rate: 0.001, ingestion_burst_size: 1 } }\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// The end of the first line of Envoy's connection manager for pushes.
const MANAGER: &str = "          stat_prefix: push\n";
const CLUSTERS: &str = "\n  clusters:\n";

fn builder(receiver: &TraceReceiver) -> EdgeBuilder {
    // The harness has files in variables; these are a URL and a word.
    let endpoint = format!("http://127.0.0.1:{}", receiver.port());
    let builder = Edge::builder().environment("OTEL_EXPORTER_OTLP_ENDPOINT", Path::new(&endpoint));
    builder.environment("OTEL_EXPORTER_OTLP_PROTOCOL", Path::new("grpc"))
}

/// Pushes two samples with a trace of the client's; returns the status.
fn push(edge: &Edge, tenant: &str, flags: &str) -> u16 {
    let body = samples(2).bytes;
    edge.send(&push_request(tenant, &body).header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"))).status
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => unreachable!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_check_continues_the_trace_of_a_push_through_envoy() {
    let receiver = TraceReceiver::start();
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", Path::new("api-key=s%201"));
    let mut edge = builder(&receiver).environment(headers.0, headers.1).start(LIMITS);
    assert_eq!((push(&edge, "other", "00"), push(&edge, "small", "01")), (200, 429));
    until("the span is there", || !receiver.spans().is_empty());
    let spans = receiver.spans();
    let [span] = spans.as_slice() else { unreachable!("one is sampled: {spans:?}") };
    let (trace, parent) = (hex(&span.trace_id), hex(&span.parent_span_id));
    assert_eq!((trace.as_str(), parent.as_str()), (TRACE, PARENT));
    for (name, expected) in [
        ("edge.tenant", "small"),
        ("edge.decision", "deny"),
        ("edge.reason", "ingestion_burst"),
        ("edge.mode", "enforce"),
        ("edge.items", "2"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(receiver.header("api-key"), [Some("s 1".to_owned())]);

    // What is not sent yet is sent in the drain.
    for _ in 0..5 {
        assert_eq!(push(&edge, "other", "01"), 200);
    }
    edge.rls.process.signal(Signal::TERM);
    assert!(edge.rls.process.wait().success());
    assert_eq!(receiver.spans().len(), 6);
}

#[test]
fn a_receiver_that_goes_away_costs_no_decision() {
    let receiver = TraceReceiver::start();
    let mut edge = builder(&receiver).start(LIMITS);
    drop(receiver);
    for _ in 0..20 {
        assert_eq!((push(&edge, "other", "01"), push(&edge, "small", "01")), (200, 429));
    }
    let dropped = || edge.rls.metric(r#"rls_trace_spans_dropped_total{cause="export_failed"}"#);
    until("the spans are counted", || dropped() == Some(40.0));
    assert_eq!(edge.rls.metric("rls_trace_spans_exported_total"), Some(0.0));
    edge.rls.process.signal(Signal::TERM);
    assert!(edge.rls.process.wait().success());
}

/// Envoy then sends the trace of its own call with each Check.
#[test]
fn a_span_of_envoy_is_the_parent_where_envoy_traces() {
    let receiver = TraceReceiver::start();
    let port = receiver.port();
    let tracing = format!(
        "{MANAGER}          tracing: {{ provider: {{ name: envoy.tracers.opentelemetry, typed_config: {{ \
         \"@type\": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, service_name: envoy, \
         grpc_service: {{ envoy_grpc: {{ cluster_name: traces }}, timeout: 1s }} }} }} }}\n"
    );
    let cluster = format!(
        "{CLUSTERS}  - name: traces\n    connect_timeout: 1s\n    typed_extension_protocol_options: {{ \
         envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{ \"@type\": \
         type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {{ http2_protocol_options: {{}} }} }} }}\n    \
         load_assignment: {{ cluster_name: traces, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: \
         {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}] }}\n"
    );
    // The edits of a builder live as long as the program.
    let [tracing, cluster]: [&'static str; 2] = [tracing.leak(), cluster.leak()];
    let edge = builder(&receiver).envoy_edit(MANAGER, tracing).envoy_edit(CLUSTERS, cluster).start(LIMITS);
    assert_eq!((push(&edge, "other", "00"), push(&edge, "small", "01")), (200, 429));
    let of_check = || receiver.spans().into_iter().find(|span| span.name.ends_with("/Check"));
    until("the span of the Check is there", || of_check().is_some());
    let span = of_check().expect("it is there");
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_ne!(hex(&span.parent_span_id), PARENT);
    until("Envoy's own spans are there", || receiver.spans().iter().any(|other| other.span_id == span.parent_span_id));
    let of_checks = receiver.spans().iter().filter(|span| span.name.ends_with("/Check")).count();
    assert_eq!(of_checks, 1, "the push that is not sampled has none");
}
