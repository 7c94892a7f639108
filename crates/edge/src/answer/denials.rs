//! Denials that have no text in Mimir.

use enforce::{Denial, DenyReason};

/// The edge has no room or no time for a push now.
#[must_use]
pub fn overloaded(why: &str) -> Denial {
    let message = format!(
        "the push has been rejected because {why} (err-edge-overloaded). The same push passes when others are done, so retry it. \
         If this lasts, contact your service administrator: the edge needs more replicas, or --max-in-flight-bytes a larger value."
    );
    Denial::new(DenyReason::EdgeOverloaded, message)
}

/// The edge failed in the middle of a decision, which its log tells more of. A client keeps the push and tries again.
#[must_use]
pub fn failed(what: &str) -> Denial {
    let message = format!(
        "the push has been rejected because of a fault of the edge: {what} (err-edge-error). The same push may pass later, so retry it. \
         If it does not, contact your service administrator: the edge's log says more."
    );
    Denial::new(DenyReason::EdgeError, message)
}

/// What is known of the size of a body that is too large.
#[derive(Clone, Copy, Debug)]
pub enum BodySize {
    /// As sent.
    Bytes(usize),
    /// The caller sent only its beginning.
    MoreThanBuffered,
    /// It was not taken in: the gRPC message around it has so many bytes.
    InMessageOf(usize),
}

/// A body is over the server's own limit, in bytes.
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

/// A body is over the tenant's limit in the edge config.
pub(crate) fn over_max_body_bytes(bytes: usize, limit: u64) -> Denial {
    let message = format!(
        "the push has been rejected because its body has {bytes} bytes; the tenant may send up to {limit} bytes as sent in one push \
         (err-edge-max-body-bytes). Send smaller batches, or contact your service administrator to adjust max_body_bytes."
    );
    Denial::new(DenyReason::EdgeMaxBodyBytes, message)
}

/// A push has more series than the tenant's limit in the edge config.
pub(crate) fn over_max_series(series: u64, limit: u64) -> Denial {
    let message = format!(
        "the push has been rejected because it has {series} series; the tenant may send up to {limit} series in one push \
         (err-edge-max-series-per-request). Send smaller batches, or contact your service administrator to adjust max_series_per_request."
    );
    Denial::new(DenyReason::EdgeMaxSeriesPerRequest, message)
}
