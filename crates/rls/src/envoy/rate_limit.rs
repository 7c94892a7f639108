//! `ShouldRateLimit`: charges hits to the same buckets as a Check.
//!
//! In the domain `mimir` the descriptor `tenant` charges its hits to the tenant's ingestion bucket, `tenant_requests` to its request bucket, and
//! `refund`, with a cause, refunds what a receipt names. Other descriptors are not limited, and counted.

mod status;

use std::collections::BTreeMap;

use bytes::Bytes;
use edge::{AllowReason, Answer, Charged, Edge, Hits, HitsVerdict, Undecided};
use enforce::{BucketOwner, Denial};
use limits::{Mode, Tenant};
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::{Request, Response, Status};

use super::answer::{header_values, metadata};
use crate::metrics::Metrics;
use status::status_of;

const DOMAIN: &str = "mimir";
const ITEMS_OF_TENANT: &str = "tenant";
const REQUESTS_OF_TENANT: &str = "tenant_requests";
const RECEIPT: &str = "refund";
const CAUSE: &str = "cause";

/// `envoy.service.ratelimit.v3.RateLimitService`.
#[derive(Clone)]
pub(crate) struct RateLimits {
    edge: Edge,
    metrics: Metrics,
}

/// The kind of a descriptor, in the order of charges: Mimir charges the request first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DescriptorKind {
    TenantRequests,
    Tenant,
    /// A refund for a push that Mimir did not take. Its hits are negative, so it is never charged.
    Refund,
    /// Not ours, or without a valid tenant.
    Unknown,
}

impl DescriptorKind {
    pub(crate) const ALL: [Self; 4] = [Self::TenantRequests, Self::Tenant, Self::Refund, Self::Unknown];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TenantRequests => REQUESTS_OF_TENANT,
            Self::Tenant => ITEMS_OF_TENANT,
            Self::Refund => RECEIPT,
            Self::Unknown => "unknown",
        }
    }
}

/// A parsed descriptor.
struct DescriptorRequest<'q> {
    kind: DescriptorKind,
    action: Action<'q>,
}

enum Action<'q> {
    Charge(Tenant<'q>, Hits),
    Refund { receipt: &'q [u8], cause: &'q [u8] },
    Nothing,
}

impl RateLimits {
    pub(crate) fn new(edge: Edge, metrics: Metrics) -> Self {
        Self { edge, metrics }
    }

    /// Charges the descriptors until a tenant is over its limit: a push that is denied for its requests pays no samples. Descriptors after that
    /// get the status of an unlimited one.
    fn charge<'q>(&self, requests: &[DescriptorRequest<'q>]) -> Result<CallOutcome<'q>, Undecided> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|place| requests.get(*place).map(|request| request.kind));
        let mut outcome =
            CallOutcome { statuses: vec![status_of(None); requests.len()], decided: BTreeMap::new(), denied: false };
        let pipeline = self.edge.pipeline();
        let control = pipeline.control();
        for place in order {
            let (Some(request), Some(status)) = (requests.get(place), outcome.statuses.get_mut(place)) else {
                continue;
            };
            match request.action {
                Action::Charge(tenant, hits) if !outcome.denied => {
                    let verdict = pipeline.charge_hits(&control, &tenant, hits)?;
                    *status = status_of(Some((&verdict, hits)));
                    let decided = outcome.decided.entry(tenant.limits_key());
                    let decided = decided.or_insert_with(|| Decided::new(tenant, &verdict));
                    decided.add(hits, verdict);
                    outcome.denied = decided.denied();
                }
                Action::Refund { receipt, cause } => self.edge.recorder().refund(&pipeline.refund(receipt, cause)),
                Action::Charge(..) | Action::Nothing => {}
            }
            self.metrics.descriptor(request.kind, status.code());
        }
        Ok(outcome)
    }

    /// The receipt of what was charged to the one tenant of a push.
    fn receipt(&self, outcome: &CallOutcome<'_>) -> Option<String> {
        let mut decided = outcome.decided.values();
        match (decided.next(), decided.next()) {
            (Some(Decided { owner, charged, .. }), None) if !outcome.denied => {
                self.edge.pipeline().receipt(&owner.tenant, *charged)
            }
            _ => None,
        }
    }
}

struct CallOutcome<'q> {
    statuses: Vec<DescriptorStatus>,
    /// The tenants of the descriptors, by the keys of their limits; a push has one.
    decided: BTreeMap<&'q str, Decided<'q>>,
    /// Whether one of them is over its limit, in mode enforce.
    denied: bool,
}

/// The sum of all descriptors of a tenant.
struct Decided<'q> {
    owner: BucketOwner<'q>,
    mode: Mode,
    /// The first denial, or why the first hits are allowed.
    decision: Result<AllowReason, Denial>,
    items: u64,
    charged: Charged,
}

impl<'q> Decided<'q> {
    fn new(tenant: Tenant<'q>, verdict: &HitsVerdict) -> Self {
        let HitsVerdict { mode, has_override, .. } = *verdict;
        let owner = BucketOwner { tenant, has_override };
        Self { owner, mode, decision: verdict.decision.clone(), items: 0, charged: Charged::default() }
    }

    fn add(&mut self, hits: Hits, verdict: HitsVerdict) {
        if let Hits::Items(items) = hits {
            self.items = self.items.saturating_add(items);
        }
        match (verdict.decision, hits) {
            (Err(denial), _) if self.decision.is_ok() => self.decision = Err(denial),
            (Err(_), _) => {}
            (Ok(_), _) if verdict.level.is_none() => {}
            (Ok(_), Hits::Requests(requests)) => {
                self.charged.requests = self.charged.requests.saturating_add(requests);
            }
            (Ok(_), Hits::Items(items)) => self.charged.items = self.charged.items.saturating_add(items),
        }
    }

    fn denied(&self) -> bool {
        self.decision.is_err() && self.mode == Mode::Enforce
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimits {
    /// A denial is an answer, never an error. In modes shadow and off the answer is OK.
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let requests: Vec<DescriptorRequest<'_>> =
            request.descriptors.iter().map(|descriptor| descriptor_request(&request, descriptor)).collect();
        let outcome = self.charge(&requests).map_err(|why| Status::unavailable(why.as_str()))?;
        for Decided { owner, mode, decision, items, .. } in outcome.decided.values() {
            self.edge.recorder().rate_limit(Some(owner), *mode, *items, decision.as_ref().copied());
        }
        let receipt = self.receipt(&outcome);
        let denied = outcome.decided.values().find(|decided| decided.denied());
        let denial = denied.and_then(|decided| decided.decision.as_ref().err());
        let mut response = rate_limit_response(outcome.statuses, denial);
        response.dynamic_metadata = metadata(None, receipt);
        Ok(Response::new(response))
    }
}

/// The response with the status of each descriptor, and the denial to send, if any.
pub(crate) fn rate_limit_response(statuses: Vec<DescriptorStatus>, denial: Option<&Denial>) -> RateLimitResponse {
    let mut response = RateLimitResponse { statuses, ..RateLimitResponse::default() };
    response.set_overall_code(Code::Ok);
    if let Some(denial) = denial {
        response.set_overall_code(Code::OverLimit);
        // The call does not carry the client's retry attempt.
        let answer = Answer::to_denial(denial, 0, rand::random());
        response.response_headers_to_add = header_values(answer.headers).collect();
        response.raw_body = Bytes::from(answer.body);
    }
    response
}

fn descriptor_request<'q>(request: &RateLimitRequest, descriptor: &'q RateLimitDescriptor) -> DescriptorRequest<'q> {
    let unknown = DescriptorRequest { kind: DescriptorKind::Unknown, action: Action::Nothing };
    if request.domain != DOMAIN {
        return unknown;
    }
    if descriptor.is_negative_hits {
        let value = |key| descriptor.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_ref());
        let [receipt, cause] = [RECEIPT, CAUSE].map(|key| value(key).unwrap_or_default());
        return DescriptorRequest { kind: DescriptorKind::Refund, action: Action::Refund { receipt, cause } };
    }
    let [entry] = descriptor.entries.as_slice() else { return unknown };
    // Mimir denies an invalid tenant itself; there is no bucket to charge.
    let Ok(tenant) = Tenant::parse(Some(&entry.value)) else { return unknown };
    let hits = descriptor.hits_addend.unwrap_or_else(|| u64::from(request.hits_addend.max(1)));
    match entry.key.as_str() {
        ITEMS_OF_TENANT => {
            DescriptorRequest { kind: DescriptorKind::Tenant, action: Action::Charge(tenant, Hits::Items(hits)) }
        }
        REQUESTS_OF_TENANT => DescriptorRequest {
            kind: DescriptorKind::TenantRequests,
            action: Action::Charge(tenant, Hits::Requests(hits)),
        },
        _ => unknown,
    }
}
