//! The two services of the server over fixed documents, for fuzz targets. Nothing else uses it, and no program has it.

use std::sync::Arc;

use anyhow::Context;
use limits::{EdgeConfigState, LimitsState, SourceDocument, TenantLimits};
use prometheus::Registry;
use proto::envoy::service::auth::v3::authorization_server::Authorization;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use remote_write::BodyLimits;
use tonic::{Request, Status};

use crate::args::{ChargeSamplesIn, HaTracker, ReadBodies, UnreadableBody};
use crate::clock::Clock;
use crate::config::{BodyPolicy, DecisionPolicy};
use crate::decide::{Decider, Readers};
use crate::elections::HaElections;
use crate::envoy::{CheckService, RateLimits, preview_reason};
use crate::metrics::Metrics;
use crate::records::Records;
use crate::refusals::Refusals;
use crate::rules::RulesInForce;

/// What answers an Envoy.
pub struct Services {
    decider: Arc<Decider>,
    check: CheckService,
    rate_limits: RateLimits,
}

impl Services {
    /// Services that go by these overrides and this edge config.
    ///
    /// # Errors
    /// When a document has a fault.
    pub fn new(overrides: &str, edge_config: &str) -> anyhow::Result<Self> {
        let mut limits = LimitsState::new(TenantLimits::default(), false);
        let limits = limits.apply(&[SourceDocument::new("runtime.yaml", overrides)]);
        let edge = EdgeConfigState::new().apply("edge.yaml", edge_config);
        let problems: Vec<_> = limits.problems.iter().chain(&edge.problems).map(ToString::to_string).collect();
        anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
        let rules = RulesInForce::with_edge_config(edge.config);
        rules.put_limits(limits.snapshot.context("no limits")?);

        let bodies = BodyPolicy {
            read: ReadBodies::On,
            max_request_bytes: 1 << 20,
            decode: BodyLimits { max_decoded_bytes: 4 << 20 },
            unreadable: UnreadableBody::Refuse,
        };
        let policy = DecisionPolicy { bodies, charge_samples_in: ChargeSamplesIn::Check, ha_tracker: HaTracker::On };
        let readers = Readers::start(bodies.decode, None)?;
        let decider = Arc::new(Decider::new(rules, policy, HaElections::new(false), readers, Clock::start()));
        let registry = Registry::new();
        let records = Records::new(&registry, Metrics::new(&registry)?, Refusals::new(None, &registry)?)?;
        let check = CheckService::new(Arc::clone(&decider), records.clone());
        let rate_limits = RateLimits::new(Arc::clone(&decider), records);
        Ok(Self { decider, check, rate_limits })
    }

    /// The answer to a Check.
    ///
    /// # Errors
    /// What Envoy takes for a failure.
    pub async fn check(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        Ok(self.check.check(Request::new(request)).await?.into_inner())
    }

    /// Why a Check would refuse the push, without its being charged.
    ///
    /// # Errors
    /// As [`Services::check`].
    pub async fn preview(&self, request: CheckRequest) -> Result<Option<&'static str>, Status> {
        preview_reason(&self.decider, request).await
    }

    /// The answer to a rate limit call.
    ///
    /// # Errors
    /// As [`Services::check`].
    pub async fn should_rate_limit(&self, request: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        Ok(self.rate_limits.should_rate_limit(Request::new(request)).await?.into_inner())
    }
}
