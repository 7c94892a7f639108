//! Giving back what a push was charged and Mimir's limiter never took, or refused.

use limits::{RateLimit, Tenant};

use super::{Enforcer, to_items};
use crate::monotonic_nanos::MonotonicNanos;
use crate::tenant_state::TenantState;

impl Enforcer {
    /// Gives requests back that [`Enforcer::admit_requests`] charged and Mimir's limiter did not: the bucket holds as many more, and never
    /// more than its capacity at `now`. A tenant that is not known has full buckets, and stays unknown. More than `i64::MAX` count as that many.
    pub fn refund_requests(&self, tenant: &Tenant<'_>, limit: RateLimit, requests: u64, now: MonotonicNanos) {
        self.with_known(tenant, |state, _| state.refund_requests(limit, to_items(requests), now));
    }

    /// The same with items that [`Enforcer::charge_items`] charged, to the bucket that it would charge now.
    pub fn refund_items(&self, tenant: &Tenant<'_>, limit: RateLimit, items: u64, now: MonotonicNanos) {
        let items = to_items(items);
        self.with_known(tenant, |state, has_room| state.refund_ingestion(tenant, limit, items, now, has_room));
    }

    /// Gives requests back that Mimir's own limiter refused, all or none; whether it did. In the long run a tenth of the limit's rate comes back, and
    /// at once no more than its burst: the bucket has to come down to where Mimir's is. A tenant that is not known gets nothing.
    pub fn refund_refused_requests(
        &self,
        tenant: &Tenant<'_>,
        limit: RateLimit,
        requests: u64,
        now: MonotonicNanos,
    ) -> bool {
        let requests = to_items(requests);
        let refund = |state: &mut TenantState, _| {
            let may = state.allows_request_refund(limit, requests, now);
            if may {
                state.refund_requests(limit, requests, now);
            }
            may
        };
        self.with_known(tenant, refund).unwrap_or(false)
    }

    /// The same with items; the spellings of a tenant share what may come back.
    pub fn refund_refused_items(&self, tenant: &Tenant<'_>, limit: RateLimit, items: u64, now: MonotonicNanos) -> bool {
        let items = to_items(items);
        let refund = |state: &mut TenantState, has_room| {
            let may = state.allows_item_refund(limit, items, now);
            if may {
                state.refund_ingestion(tenant, limit, items, now, has_room);
            }
            may
        };
        self.with_known(tenant, refund).unwrap_or(false)
    }
}
