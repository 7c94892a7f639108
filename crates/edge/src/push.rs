//! A push: what a decision needs of a request, from whichever call.

use bytes::Bytes;
use remote_write::PushCounts;

/// Headers that, with the value `true`, ask Mimir not to validate the names or the number of labels.
pub const SKIP_VALIDATION: [&str; 2] = ["x-mimir-skiplabelnamevalidation", "x-mimir-skiplabelcountvalidation"];

/// A push to decide on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// `X-Scope-OrgID`.
    pub tenant: TenantHeader,
    /// `Content-Type`, which alone tells remote write 1.0 from 2.0.
    pub content_type: Option<Bytes>,
    /// `Retry-Attempt`, which Prometheus sends with retries; 0 on a first attempt.
    pub retry_attempt: u32,
    /// Whether one of [`SKIP_VALIDATION`] was sent: a Mimir that allows it accepts series that are otherwise invalid.
    pub skips_validation: bool,
    /// The body.
    pub body: PushBody,
}

/// The tenant's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantHeader {
    /// Never.
    Absent,
    /// Its value, also if it was sent several times with the same one.
    Once(Bytes),
    /// Different values. Mimir would use the first, other programs the last: the tenant is ambiguous.
    Repeated,
}

impl TenantHeader {
    /// From all values of the header.
    pub fn of(mut values: impl Iterator<Item = Bytes>) -> Self {
        match values.next() {
            None => Self::Absent,
            Some(first) if values.all(|value| value == first) => Self::Once(first),
            Some(_) => Self::Repeated,
        }
    }
}

/// The body, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushBody {
    /// All of it, still compressed.
    Whole(Bytes),
    /// Only its beginning: it was larger than the caller buffers.
    Partial,
    /// The operator configured the caller not to send bodies.
    NotSent {
        /// Its `Content-Length`, if it has one.
        bytes: Option<usize>,
    },
    /// The caller counted the contents.
    Counted(PushCounts),
}

impl PushBody {
    /// Its size as sent, if it is known.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        match self {
            Self::Whole(body) => Some(body.len()),
            Self::NotSent { bytes } => *bytes,
            Self::Partial | Self::Counted(_) => None,
        }
    }
}

/// The value of `Retry-Attempt`. As in Mimir, a value that is no integer counts as a first attempt.
#[must_use]
pub fn retry_attempt(value: &[u8]) -> u32 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
