//! Mimir's texts for exceeded rates (Mimir `pkg/distributor/errors.go`, `pkg/util/globalerror/user.go`), without the
//! trailing newline of the body.

use limits::{Burst, RateLimit};

use crate::bucket::{items_of, per_second};
use crate::go_float::format_go_float;

/// The tenant's request rate is used up. Mimir prints the limit as configured, where a burst without bound is 0.
pub(crate) fn request_rate(limit: RateLimit) -> String {
    let rate = format_go_float(per_second(limit.rate));
    let burst = match limit.burst {
        Burst::Items(items) => items,
        Burst::Unlimited => 0,
    };
    format!(
        "the request has been rejected because the tenant exceeded the request rate limit, set to {rate} requests/s \
         across all distributors with a maximum allowed burst of {burst} (err-mimir-tenant-max-request-rate). To \
         adjust the related per-tenant limits, configure -distributor.request-rate-limit and \
         -distributor.request-burst-size, or contact your service administrator."
    )
}

/// The tenant's ingestion rate is used up. Mimir prints the configured rate and the burst of the limiter itself.
pub(crate) fn ingestion_rate(limit: RateLimit, burst: i64) -> String {
    let rate = format_go_float(per_second(limit.rate));
    format!(
        "the request has been rejected because the tenant exceeded the ingestion rate limit, set to {rate} items/s \
         with a maximum allowed burst of {burst}. This limit is applied on the total number of samples, exemplars and \
         metadata received across all distributors (err-mimir-tenant-max-ingestion-rate). To adjust the related \
         per-tenant limits, configure -distributor.ingestion-rate-limit and -distributor.ingestion-burst-size, or \
         contact your service administrator."
    )
}

/// Pushes that cannot be metered are over their bound. The edge's own text: Mimir has none.
pub(crate) fn unmetered(bound: RateLimit) -> String {
    let rate = format_go_float(per_second(bound.rate));
    let burst = items_of(bound.burst);
    format!(
        "the push has been rejected because the edge cannot tell what Mimir would charge for it, and the tenant has sent more of \
         such pushes than {rate} items/s with a maximum allowed burst of {burst} (err-edge-unmetered). The same push passes later, \
         so retry it. The metric rls_unmetered_total says why it cannot be metered."
    )
}

/// The push alone is larger than the ingestion burst.
pub(crate) fn ingestion_burst(burst: i64, items: i64) -> String {
    format!(
        "the request has been rejected because the tenant exceeded the ingestion burst size limit, set to {burst}, \
         with {items} items. This limit is applied on the total number of samples, exemplars and metadata received \
         across all distributors (err-mimir-tenant-max-ingestion-rate). To adjust the related per-tenant limit, \
         configure -distributor.ingestion-burst-size, or contact your service administrator."
    )
}

#[cfg(test)]
mod tests;
