//! The denials that Mimir does not have: overload, failures, sizes, and the number of series.

use std::time::Duration;

use enforce::{Denial, DenyReason};

/// What the edge has too little of for a push.
#[derive(Clone, Copy, Debug)]
pub enum Overload {
    /// Room: other pushes of its tenant fill the tenant's share of so many bytes.
    TenantShare(usize),
    /// Room: other pushes fill the budget of so many bytes.
    Budget(usize),
    /// Room: the push stalls, and others need what it holds.
    Stalled,
    /// Time: the push did not arrive within so long.
    TooSlow(Duration),
}

/// The denial of a push that the edge has no room or no time for.
#[must_use]
pub fn overloaded(by: Overload) -> Denial {
    let why = match by {
        Overload::TenantShare(bytes) => {
            format!("what the edge reads of its tenant at this moment fills the tenant's share of {bytes} bytes")
        }
        Overload::Budget(bytes) => format!("what the edge reads at this moment fills its {bytes} bytes"),
        Overload::Stalled => "the push came too slowly while the edge needed its room for others".to_owned(),
        Overload::TooSlow(within) => format!("the edge could not read it within {within:?}"),
    };
    let message = format!(
        "the push has been rejected because {why} (err-edge-overloaded). The same push passes when others are done, so retry it. \
         If this lasts, contact your service administrator: the edge needs more replicas, or --max-in-flight-bytes a larger value."
    );
    Denial::new(DenyReason::EdgeOverloaded, message)
}

/// What the edge failed to do, because of a fault of its own.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// The decision.
    Decide,
    /// Decoding the body.
    DecodeBody,
}

/// The denial where the edge failed; its log says more. The client retries.
#[must_use]
pub fn failed(to: Failure) -> Denial {
    let what = match to {
        Failure::Decide => "it failed to decide",
        Failure::DecodeBody => "it failed to decode the body",
    };
    let message = format!(
        "the push has been rejected because of a fault of the edge: {what} (err-edge-error). The same push may pass later, so retry it. \
         If it does not, contact your service administrator: the edge's log says more."
    );
    Denial::new(DenyReason::EdgeError, message)
}

/// The size of a body that is too large, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum BodySize {
    /// As sent.
    Bytes(usize),
    /// The caller sent only the beginning.
    MoreThanBuffered,
    /// It was not received; the gRPC message around it has so many bytes.
    InMessageOf(usize),
}

/// The denial of a body over the server's own limit, in bytes.
#[must_use]
pub fn body_too_large(size: BodySize, limit: usize) -> Denial {
    let size = match size {
        BodySize::Bytes(bytes) => format!("has {bytes} bytes"),
        BodySize::MoreThanBuffered => "is larger than the proxy buffers".to_owned(),
        BodySize::InMessageOf(bytes) => format!("comes in a message of {bytes} bytes"),
    };
    let message = format!(
        "the push has been rejected because its body {size}; the edge reads up to {limit} bytes as sent (err-edge-max-request-bytes). \
         To adjust the limit, configure --max-request-bytes and the proxy's max_request_bytes, or contact your service administrator."
    );
    Denial::new(DenyReason::BodyTooLarge, message)
}

/// The denial of a body over the tenant's limit in the edge config.
pub(crate) fn over_max_body_bytes(bytes: usize, limit: u64) -> Denial {
    let message = format!(
        "the push has been rejected because its body has {bytes} bytes; the tenant may send up to {limit} bytes as sent in one push \
         (err-edge-max-body-bytes). Send smaller batches, or contact your service administrator to adjust max_body_bytes."
    );
    Denial::new(DenyReason::EdgeMaxBodyBytes, message)
}

/// The denial of a push with more series than the tenant's limit in the edge config.
pub(crate) fn over_max_series(series: u64, limit: u64) -> Denial {
    let message = format!(
        "the push has been rejected because it has {series} series; the tenant may send up to {limit} series in one push \
         (err-edge-max-series-per-request). Send smaller batches, or contact your service administrator to adjust max_series_per_request."
    );
    Denial::new(DenyReason::EdgeMaxSeriesPerRequest, message)
}
