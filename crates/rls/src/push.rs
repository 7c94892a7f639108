//! A push as the server sees it: what the decision needs of a request, whoever asked about it.

use bytes::Bytes;

/// One push that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// `X-Scope-OrgID`.
    pub tenant: TenantHeader,
    /// `Content-Type`, which alone tells remote write 1.0 from 2.0.
    pub content_type: Option<Bytes>,
    /// `Retry-Attempt`, which Prometheus sends from the first retry on; 0 on a first attempt.
    pub retry_attempt: u32,
    pub body: PushBody,
}

/// How often the tenant's header was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TenantHeader {
    Absent,
    Once(Bytes),
    /// Mimir would take the first, other readers the last: nobody can say whose push it is.
    Repeated,
}

/// What is known of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushBody {
    /// All of it, still compressed.
    Whole(Bytes),
    /// Only its beginning: it was larger than the asker buffers.
    Partial,
    /// The operator told the asker not to send bodies.
    Withheld,
}
