//! A push as the server sees it: what the decision needs of a request, whichever call brought it.

use bytes::Bytes;
use remote_write::PushCounts;

/// Headers that ask Mimir not to validate names or numbers of labels, with the value `true`.
pub const SKIP_VALIDATION: [&str; 2] = ["x-mimir-skiplabelnamevalidation", "x-mimir-skiplabelcountvalidation"];

/// One push that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// `X-Scope-OrgID`.
    pub tenant: TenantHeader,
    /// `Content-Type`, which alone tells remote write 1.0 from 2.0.
    pub content_type: Option<Bytes>,
    /// `Retry-Attempt`, which Prometheus sends from the first retry on; 0 on a first attempt.
    pub retry_attempt: u32,
    /// Whether one of [`SKIP_VALIDATION`] was sent: a Mimir that allows it takes series that are invalid otherwise.
    pub skips_validation: bool,
    /// What it holds.
    pub body: PushBody,
}

/// How often the tenant's header was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantHeader {
    /// Never.
    Absent,
    /// Its value.
    Once(Bytes),
    /// Mimir would take the first, other readers the last: whose push it is cannot be said.
    Repeated,
}

/// What is known of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushBody {
    /// All of it, still compressed.
    Whole(Bytes),
    /// Only its beginning: it was larger than the caller buffers.
    Partial,
    /// The operator configured the caller not to send bodies.
    NotSent {
        /// As sent, if it was said beforehand.
        bytes: Option<usize>,
    },
    /// The caller says what it holds.
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

/// `Retry-Attempt`: Mimir reads it as an integer and takes what is none for a first attempt.
#[must_use]
pub fn retry_attempt(value: &[u8]) -> u32 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
