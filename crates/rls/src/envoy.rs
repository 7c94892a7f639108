//! The ext_authz call and the rate limit call: Envoy's messages in and out. Decisions are made in [`edge`].

mod answer;
mod rate_limit;
#[cfg(test)]
mod recorded;
mod request;

use std::time::Instant;

use bytes::Bytes;
use edge::{Edge, Outcome, Push, Undecided};
use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::{Request, Response, Status};

use crate::traces::{CheckSpan, Traces};
pub(crate) use answer::check_response;
pub(crate) use rate_limit::{DescriptorKind, RateLimits, rate_limit_response};
pub(crate) use request::{header_of, push_from};

/// `envoy.service.auth.v3.Authorization`.
#[derive(Clone)]
pub(crate) struct CheckService {
    edge: Edge,
    default_tenant: Option<Bytes>,
    traces: Option<Traces>,
}

impl CheckService {
    pub(crate) fn new(edge: Edge, default_tenant: Option<Bytes>, traces: Option<Traces>) -> Self {
        Self { edge, default_tenant, traces }
    }

    /// The push of a call, and its span if it is traced. It takes the request: what an async function borrows once has a place in its future for good.
    fn begin(&self, request: Request<CheckRequest>) -> (Push, Option<Box<CheckSpan>>) {
        let span = self.traces.as_ref().and_then(|traces| traces.begin(&request));
        (push_from(request.into_inner(), self.default_tenant.as_ref()), span)
    }

    /// The decision, with a span that says what it was and when each stage ended.
    async fn traced(&self, push: Push, started: Instant, mut span: CheckSpan) -> Result<Outcome, Undecided> {
        let outcome = self.edge.check_timed(&push, started, &mut span).await;
        span.end(&push, &outcome);
        outcome
    }
}

#[tonic::async_trait]
impl Authorization for CheckService {
    /// A denial is an answer, never an error: Envoy takes an error for "allow" when it fails open.
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let started = Instant::now();
        let (push, span) = self.begin(request);
        let outcome = match span {
            None => self.edge.check(&push, started).await,
            // In a box: a call without a span has no room for one.
            Some(span) => Box::pin(self.traced(push, started, *span)).await,
        };
        Ok(Response::new(check_response(outcome.map_err(|why| Status::unavailable(why.as_str()))?)))
    }
}

/// The reason for which a Check would deny a push, without charging it.
#[cfg(feature = "fuzzing")]
pub(crate) async fn preview_reason(
    pipeline: &edge::Pipeline,
    request: CheckRequest,
) -> Result<Option<&'static str>, Status> {
    let explained =
        pipeline.explain(&push_from(request, None)).await.map_err(|why| Status::unavailable(why.as_str()))?;
    Ok(explained.verdict.denial().map(|denial| denial.reason().as_str()))
}
