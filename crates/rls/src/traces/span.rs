//! The span of one Check, which continues Envoy's trace.

use edge::{Outcome, Push, Stage, StageTimes, TenantHeader, Undecided};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};
use proto::envoy::service::auth::v3::CheckRequest;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::envoy::header_of;

const NAME: &str = "envoy.service.auth.v3.Authorization/Check";
const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";
/// A longer one is left out, as the specification of trace context allows.
const MAX_STATE_BYTES: usize = 512;
/// The longest tenant of Mimir.
const MAX_TENANT_BYTES: usize = 150;

/// A span that is sampled.
pub(crate) struct CheckSpan(Span);

impl CheckSpan {
    /// `None` if it is not sampled.
    pub(super) fn begin(tracer: &SdkTracer, request: &Request<CheckRequest>) -> Option<Self> {
        let headers = TraceHeaders::of(request);
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let span = tracer.span_builder(NAME).with_kind(SpanKind::Server).start_with_context(tracer, &parent);
        span.is_recording().then_some(Self(span))
    }

    /// Says what was decided, and ends.
    pub(crate) fn end(mut self, push: &Push, outcome: &Result<Outcome, Undecided>) {
        self.0.set_attribute(KeyValue::new("rpc.system", "grpc"));
        if let TenantHeader::Once(tenant) = &push.tenant {
            let tenant = tenant.get(..MAX_TENANT_BYTES).unwrap_or(tenant);
            self.0.set_attribute(KeyValue::new("edge.tenant", String::from_utf8_lossy(tenant).into_owned()));
        }
        if let Some(bytes) = push.body.bytes() {
            self.0.set_attribute(KeyValue::new("edge.body_bytes", integer(bytes)));
        }
        self.0.set_attribute(KeyValue::new("edge.retry_attempt", i64::from(push.retry_attempt)));
        match outcome {
            Ok(outcome) => self.decided(outcome),
            Err(why) => self.0.set_status(Status::error(why.as_str())),
        }
        self.0.end();
    }

    fn decided(&mut self, Outcome { verdict, answer, .. }: &Outcome) {
        let decision = match (verdict.denial(), answer) {
            (None, _) => "allow",
            (Some(_), Some(_)) => "deny",
            (Some(_), None) => "would_deny",
        };
        for (name, value) in
            [("edge.decision", decision), ("edge.reason", verdict.reason()), ("edge.mode", verdict.mode.as_str())]
        {
            self.0.set_attribute(KeyValue::new(name, value));
        }
        self.0.set_attribute(KeyValue::new("edge.items", integer(verdict.counts.items())));
        if let Some(answer) = answer {
            self.0.set_attribute(KeyValue::new("http.response.status_code", i64::from(answer.status)));
        }
    }
}

impl StageTimes for CheckSpan {
    fn ended(&mut self, stage: Stage) {
        self.0.add_event(stage.ended(), Vec::new());
    }
}

fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The trace of a Check: that of the call, which Envoy sends where it traces itself, or else the one that the client sent with its push.
enum TraceHeaders<'r> {
    OfCall(&'r MetadataMap),
    OfPush(&'r CheckRequest),
}

impl<'r> TraceHeaders<'r> {
    fn of(request: &'r Request<CheckRequest>) -> Self {
        let metadata = request.metadata();
        if metadata.contains_key(TRACE_PARENT) { Self::OfCall(metadata) } else { Self::OfPush(request.get_ref()) }
    }
}

impl Extractor for TraceHeaders<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let value = match self {
            Self::OfCall(metadata) => metadata.get(name)?.to_str().ok()?,
            Self::OfPush(request) => std::str::from_utf8(header_of(request, name)?).ok()?,
        };
        (name != TRACE_STATE || value.len() <= MAX_STATE_BYTES).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_PARENT, TRACE_STATE]
    }
}
