//! The ext_authz call and the rate limit call: Envoy's messages in and out. Decisions are made in [`edge`].

mod answer;
mod rate_limit;
#[cfg(test)]
mod recorded;
mod request;

use std::time::Instant;

use bytes::Bytes;
use edge::Edge;
use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::{Request, Response, Status};

pub(crate) use answer::check_response;
pub(crate) use rate_limit::{DescriptorKind, RateLimits, rate_limit_response};
use request::push_from;

/// `envoy.service.auth.v3.Authorization`.
#[derive(Clone)]
pub(crate) struct CheckService {
    edge: Edge,
    default_tenant: Option<Bytes>,
}

impl CheckService {
    pub(crate) fn new(edge: Edge, default_tenant: Option<Bytes>) -> Self {
        Self { edge, default_tenant }
    }
}

#[tonic::async_trait]
impl Authorization for CheckService {
    /// A denial is an answer, never an error: Envoy takes an error for "allow" when it fails open.
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let started = Instant::now();
        let push = push_from(request.into_inner(), self.default_tenant.as_ref());
        let outcome = self.edge.check(&push, started).await.map_err(|why| Status::unavailable(why.as_str()))?;
        Ok(Response::new(check_response(outcome)))
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
