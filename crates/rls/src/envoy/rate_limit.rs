//! `ShouldRateLimit`: the same buckets as a Check, for an asker that knows the hits.
//!
//! In the domain `mimir` the descriptor `tenant` charges its hits to the tenant's ingestion bucket, `tenant_requests` to its request bucket, and
//! `refund`, with a cause, gives back what a receipt names. Whatever else is asked is not limited, and counted.

mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use enforce::{Decision, Denial};
use limits::{Mode, Tenant};
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::{Request, Response, Status};

use super::answer::{denial_body, denial_headers, metadata};
use crate::decide::{AllowReason, Charged, Decider, Hits, HitsVerdict, Undecided};
use crate::records::Records;
use status::status_of;

const DOMAIN: &str = "mimir";
const ITEMS_OF_TENANT: &str = "tenant";
const REQUESTS_OF_TENANT: &str = "tenant_requests";
const RECEIPT: &str = "refund";
const CAUSE: &str = "cause";

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
    /// Of a push that Mimir did not take. Its hits are negative: it is never charged, whatever it says.
    Refund,
    /// Not ours, or of nobody that Mimir would take for a tenant.
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

/// A descriptor as it is answered.
struct Question<'q> {
    kind: DescriptorKind,
    asked: Asked<'q>,
}

enum Asked<'q> {
    Charge(Tenant<'q>, Hits),
    GiveBack {
        receipt: &'q [u8],
        cause: &'q [u8],
    },
    /// Nothing that is known here.
    Nothing,
}

impl RateLimits {
    pub(crate) fn new(decider: Arc<Decider>, records: Records) -> Self {
        Self { decider, records }
    }

    /// Charges the descriptors until a tenant is over its limit: a push that is refused for its requests pays no samples. What is not reached
    /// gets the status of what nothing limits.
    fn answer<'q>(&self, questions: &[Question<'q>]) -> Result<Answered<'q>, Undecided> {
        let mut order: Vec<usize> = (0..questions.len()).collect();
        order.sort_by_key(|place| questions.get(*place).map(|question| question.kind));
        let mut answered =
            Answered { statuses: vec![status_of(None); questions.len()], decided: BTreeMap::new(), refused: false };
        for place in order {
            let (Some(question), Some(status)) = (questions.get(place), answered.statuses.get_mut(place)) else {
                continue;
            };
            match question.asked {
                Asked::Charge(tenant, hits) if !answered.refused => {
                    let verdict = self.decider.charge_hits(&tenant, hits)?;
                    *status = status_of(Some((&verdict, hits)));
                    let decided = answered.decided.entry(tenant.limits_key());
                    let decided = decided.or_insert_with(|| Decided::new(tenant, &verdict));
                    decided.add(hits, verdict);
                    answered.refused = decided.refused();
                }
                Asked::GiveBack { receipt, cause } => self.records.refund(&self.decider.refund(receipt, cause)),
                Asked::Charge(..) | Asked::Nothing => {}
            }
            self.records.descriptor(question.kind, status.code());
        }
        Ok(answered)
    }

    /// What the answer says was charged, of one tenant: a push has no other.
    fn receipt(&self, answered: &Answered<'_>) -> Option<String> {
        let mut decided = answered.decided.values();
        match (decided.next(), decided.next()) {
            (Some(Decided { tenant, charged, .. }), None) if !answered.refused => {
                self.decider.receipt(tenant, *charged)
            }
            _ => None,
        }
    }
}

struct Answered<'q> {
    statuses: Vec<DescriptorStatus>,
    /// By the keys of their limits, the tenants that descriptors of ours name; a push names one.
    decided: BTreeMap<&'q str, Decided<'q>>,
    /// Whether one of them is over its limit, and is to hear of it.
    refused: bool,
}

/// What all descriptors of a tenant come to.
struct Decided<'q> {
    tenant: Tenant<'q>,
    mode: Mode,
    allowed: AllowReason,
    items: u64,
    charged: Charged,
    /// The first.
    denial: Option<Denial>,
}

impl<'q> Decided<'q> {
    fn new(tenant: Tenant<'q>, verdict: &HitsVerdict) -> Self {
        let HitsVerdict { mode, allowed, .. } = *verdict;
        Self { tenant, mode, allowed, items: 0, charged: Charged::default(), denial: None }
    }

    fn add(&mut self, hits: Hits, verdict: HitsVerdict) {
        if let Hits::Items(items) = hits {
            self.items = self.items.saturating_add(items);
        }
        match (verdict.decision, hits) {
            (Decision::Deny(denial), _) => {
                self.denial.get_or_insert(denial);
            }
            (Decision::Allow, _) if verdict.level.is_none() => {}
            (Decision::Allow, Hits::Requests(requests)) => {
                self.charged.requests = self.charged.requests.saturating_add(requests);
            }
            (Decision::Allow, Hits::Items(items)) => self.charged.items = self.charged.items.saturating_add(items),
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
        let answered = self.answer(&questions).map_err(|why| Status::unavailable(why.as_str()))?;
        for Decided { tenant, mode, allowed, items, denial, .. } in answered.decided.values() {
            self.records.rate_limit(Some(tenant), *mode, *items, denial.as_ref().map_or(Ok(*allowed), Err));
        }
        let receipt = self.receipt(&answered);
        let refused = answered.decided.values().find(|decided| decided.refused());
        let denial = refused.and_then(|decided| decided.denial.as_ref());
        let mut response = rate_limit_answer(answered.statuses, denial);
        response.dynamic_metadata = metadata(None, receipt);
        Ok(Response::new(response))
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
    let unknown = Question { kind: DescriptorKind::Unknown, asked: Asked::Nothing };
    if request.domain != DOMAIN {
        return unknown;
    }
    if descriptor.is_negative_hits {
        let value = |key| descriptor.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_ref());
        let [receipt, cause] = [RECEIPT, CAUSE].map(|key| value(key).unwrap_or_default());
        return Question { kind: DescriptorKind::Refund, asked: Asked::GiveBack { receipt, cause } };
    }
    let [entry] = descriptor.entries.as_slice() else { return unknown };
    // Mimir itself refuses a tenant that is none; there is no bucket to charge.
    let Ok(tenant) = Tenant::parse(Some(&entry.value)) else { return unknown };
    let hits = descriptor.hits_addend.unwrap_or_else(|| u64::from(request.hits_addend.max(1)));
    match entry.key.as_str() {
        ITEMS_OF_TENANT => Question { kind: DescriptorKind::Tenant, asked: Asked::Charge(tenant, Hits::Items(hits)) },
        REQUESTS_OF_TENANT => {
            Question { kind: DescriptorKind::TenantRequests, asked: Asked::Charge(tenant, Hits::Requests(hits)) }
        }
        _ => unknown,
    }
}
