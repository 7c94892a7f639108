//! `ShouldRateLimit`: the same buckets as a Check, for an asker that knows the hits.
//!
//! In the domain `mimir` the descriptor `tenant` charges its hits to the tenant's ingestion bucket, `tenant_requests` to its request bucket.
//! Whatever else is asked is not limited, and counted.

mod status;

use std::sync::Arc;

use bytes::Bytes;
use enforce::{Decision, Denial};
use limits::{Mode, Tenant};
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::{Request, Response, Status};

use super::answer::{denial_body, denial_headers};
use crate::decide::{Decider, Hits, Undecided};
use crate::records::Records;
use status::status_of;

const DOMAIN: &str = "mimir";
const ITEMS_OF_TENANT: &str = "tenant";
const REQUESTS_OF_TENANT: &str = "tenant_requests";

/// `envoy.service.ratelimit.v3.RateLimitService`.
#[derive(Clone)]
pub(crate) struct RateLimits {
    decider: Arc<Decider>,
    records: Records,
}

/// What a descriptor asks for, in the order in which descriptors are charged: Mimir charges the request first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DescriptorKind {
    TenantRequests,
    Tenant,
    /// Not ours, or of nobody that Mimir would take for a tenant.
    Unknown,
}

impl DescriptorKind {
    pub(crate) const ALL: [Self; 3] = [Self::TenantRequests, Self::Tenant, Self::Unknown];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TenantRequests => REQUESTS_OF_TENANT,
            Self::Tenant => ITEMS_OF_TENANT,
            Self::Unknown => "unknown",
        }
    }
}

/// A descriptor as it is charged.
struct Question<'q> {
    kind: DescriptorKind,
    /// None for [`DescriptorKind::Unknown`].
    charge: Option<(Tenant<'q>, Hits)>,
}

impl RateLimits {
    pub(crate) fn new(decider: Arc<Decider>, records: Records) -> Self {
        Self { decider, records }
    }

    /// Charges the descriptors until one is over its limit: a push that is refused for its requests pays no samples. What is not reached
    /// gets the status of what nothing limits.
    fn charge<'q>(&self, questions: &[Question<'q>]) -> Result<Charged<'q>, Undecided> {
        let mut order: Vec<usize> = (0..questions.len()).collect();
        order.sort_by_key(|place| questions.get(*place).map(|question| question.kind));
        let mut charged = Charged { statuses: vec![status_of(None); questions.len()], decided: None };
        for place in order {
            let (Some(question), Some(status)) = (questions.get(place), charged.statuses.get_mut(place)) else {
                continue;
            };
            if let Some((tenant, hits)) = &question.charge
                && charged.decided.as_ref().is_none_or(|decided| !decided.refused())
            {
                let verdict = self.decider.charge_hits(tenant, *hits)?;
                *status = status_of(Some((&verdict, *hits)));
                charged.decided.get_or_insert_with(|| Decided::new(*tenant, verdict.mode)).add(*hits, verdict.decision);
            }
            self.records.descriptor(question.kind, status.code());
        }
        Ok(charged)
    }
}

struct Charged<'q> {
    statuses: Vec<DescriptorStatus>,
    /// None if there is no descriptor of ours.
    decided: Option<Decided<'q>>,
}

/// What all descriptors of a call come to.
struct Decided<'q> {
    tenant: Tenant<'q>,
    mode: Mode,
    items: u64,
    /// The first.
    denial: Option<Denial>,
}

impl<'q> Decided<'q> {
    fn new(tenant: Tenant<'q>, mode: Mode) -> Self {
        Self { tenant, mode, items: 0, denial: None }
    }

    fn add(&mut self, hits: Hits, decision: Decision) {
        if let Hits::Items(items) = hits {
            self.items = self.items.saturating_add(items);
        }
        if let Decision::Deny(denial) = decision {
            self.denial.get_or_insert(denial);
        }
    }

    fn refused(&self) -> bool {
        self.denial.is_some() && self.mode == Mode::Enforce
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimits {
    /// A refusal is an answer, never an error, and in modes shadow and off there is none.
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let questions: Vec<Question<'_>> =
            request.descriptors.iter().map(|descriptor| question(&request, descriptor)).collect();
        let charged = self.charge(&questions).map_err(|why| Status::unavailable(why.as_str()))?;
        let Some(decided) = &charged.decided else {
            return Ok(Response::new(rate_limit_answer(charged.statuses, None)));
        };
        self.records.rate_limit(Some(&decided.tenant), decided.mode, decided.items, decided.denial.as_ref());
        let sent = decided.denial.as_ref().filter(|_| decided.refused());
        Ok(Response::new(rate_limit_answer(charged.statuses, sent)))
    }
}

/// The answer with what each descriptor comes to, and the refusal if the client is to get one.
pub(crate) fn rate_limit_answer(statuses: Vec<DescriptorStatus>, denial: Option<&Denial>) -> RateLimitResponse {
    let mut response = RateLimitResponse { statuses, ..RateLimitResponse::default() };
    response.set_overall_code(Code::Ok);
    if let Some(denial) = denial {
        response.set_overall_code(Code::OverLimit);
        // The asker does not say how often the client has tried.
        response.response_headers_to_add = denial_headers(denial, 0, rand::random());
        response.raw_body = Bytes::from(denial_body(denial));
    }
    response
}

fn question<'q>(request: &RateLimitRequest, descriptor: &'q RateLimitDescriptor) -> Question<'q> {
    let unknown = Question { kind: DescriptorKind::Unknown, charge: None };
    let [entry] = descriptor.entries.as_slice() else { return unknown };
    // Mimir itself refuses a tenant that is none; there is no bucket to charge.
    let Ok(tenant) = Tenant::parse(Some(&entry.value)) else { return unknown };
    let hits = descriptor.hits_addend.unwrap_or_else(|| u64::from(request.hits_addend.max(1)));
    match (request.domain.as_str(), entry.key.as_str()) {
        (DOMAIN, ITEMS_OF_TENANT) => {
            Question { kind: DescriptorKind::Tenant, charge: Some((tenant, Hits::Items(hits))) }
        }
        (DOMAIN, REQUESTS_OF_TENANT) => {
            Question { kind: DescriptorKind::TenantRequests, charge: Some((tenant, Hits::Requests(hits))) }
        }
        _ => unknown,
    }
}
