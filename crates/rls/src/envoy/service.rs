//! The gRPC service that Envoy calls.

use std::sync::Arc;
use std::time::Instant;

use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::{Request, Response, Status};

use super::answer::answer;
use super::request::push_from;
use crate::decide::Decider;
use crate::records::{Records, Subject};

/// `envoy.service.auth.v3.Authorization`.
#[derive(Clone)]
pub(crate) struct CheckService {
    decider: Arc<Decider>,
    records: Records,
}

impl CheckService {
    pub(crate) fn new(decider: Arc<Decider>, records: Records) -> Self {
        Self { decider, records }
    }
}

#[tonic::async_trait]
impl Authorization for CheckService {
    /// A refusal is an answer, never an error: Envoy takes an error for "allow" when it fails open.
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let started = Instant::now();
        let push = push_from(request.into_inner());
        let verdict = self.decider.decide(&push).await.map_err(|why| Status::unavailable(why.as_str()))?;
        let subject = Subject::from(&push);
        let receipt = subject.tenant.and_then(|tenant| self.decider.receipt(&tenant, verdict.charged));
        let response = answer(&verdict, receipt, push.retry_attempt, rand::random());
        self.records.check(&subject, &verdict, started.elapsed());
        Ok(Response::new(response))
    }
}

/// Why a Check would refuse a push, without its being charged.
#[cfg(feature = "fuzzing")]
pub(crate) async fn preview_reason(decider: &Decider, request: CheckRequest) -> Result<Option<&'static str>, Status> {
    let explained = decider.explain(&push_from(request)).await.map_err(|why| Status::unavailable(why.as_str()))?;
    Ok(match explained.verdict.decision {
        enforce::Decision::Allow => None,
        enforce::Decision::Deny(denial) => Some(denial.reason().as_str()),
    })
}
