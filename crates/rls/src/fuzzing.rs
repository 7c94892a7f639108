//! The two services of the server with fixed documents, for fuzz targets only.

use std::sync::Arc;

use anyhow::Context;
use edge::{BodyPolicy, Clock, ControlWriter, DecodePool, Edge, HaTracker, Pipeline, Policy, Recorder};
use limits::{EdgeConfigState, LimitsState, SourceDocument, TenantLimits};
use prometheus::Registry;
use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use remote_write::BodyLimits;
use tasks::Tasks;
use tonic::{Request, Status};

use crate::envoy::{CheckService, RateLimits, preview_reason};
use crate::metrics::Metrics;

/// The services that Envoy calls.
pub struct Services {
    edge: Edge,
    check: CheckService,
    rate_limits: RateLimits,
}

impl Services {
    /// Services with these overrides and this edge config.
    ///
    /// # Errors
    /// A document has a problem.
    pub fn new(overrides: &str, edge_config: &str) -> anyhow::Result<Self> {
        let mut limits = LimitsState::new(TenantLimits::default(), false);
        let limits = limits.apply(&[SourceDocument::new("runtime.yaml", overrides)]);
        let edge = EdgeConfigState::new().apply("edge.yaml", edge_config);
        let problems: Vec<_> = limits.problems.iter().chain(&edge.problems).map(ToString::to_string).collect();
        anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
        let (mut writer, control) = ControlWriter::new(edge.config, HaTracker::default());
        writer.put_limits_compiled(limits.snapshot.context("no limits")?);

        let bodies = BodyPolicy {
            decode: true,
            max_request_bytes: 1 << 20,
            limits: BodyLimits { max_decoded_bytes: 4 << 20 },
            forward_unreadable: false,
        };
        let pool = DecodePool::start(bodies.limits, None, &Tasks::default())?;
        let policy = Policy { bodies, charge_items: true, ha_tracker: true };
        let pipeline = Arc::new(Pipeline::new(control, policy, Some(pool), Clock::start()));
        let registry = Registry::new();
        let recorder = Recorder::new(None, &registry)?;
        let edge = Edge::new(pipeline, recorder);
        let check = CheckService::new(edge.clone(), None, None);
        let rate_limits = RateLimits::new(edge.clone(), Metrics::new(&registry)?);
        Ok(Self { edge, check, rate_limits })
    }

    /// The answer to a Check.
    ///
    /// # Errors
    /// A gRPC error, which Envoy counts as a failure.
    pub async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        Ok(self.check.check(Request::new(request)).await?.into_inner())
    }

    /// The reason for which a Check would deny the push, without charging it.
    ///
    /// # Errors
    /// As [`Services::check`].
    pub async fn preview(&self, request: CheckRequest) -> Result<Option<&'static str>, Status> {
        preview_reason(self.edge.pipeline(), request).await
    }

    /// The answer to a rate limit call.
    ///
    /// # Errors
    /// As [`Services::check`].
    pub async fn should_rate_limit(&self, request: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        Ok(self.rate_limits.should_rate_limit(Request::new(request)).await?.into_inner())
    }
}
