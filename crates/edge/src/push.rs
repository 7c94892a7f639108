//! A push: what a decision needs of a request, from whichever call.

use bytes::Bytes;
use remote_write::PushCounts;

/// The name of the tenant's header, in lower case.
pub const TENANT_HEADER: &str = "x-scope-orgid";
const CONTENT_TYPE: &str = "content-type";
const RETRY_ATTEMPT: &str = "retry-attempt";
/// Headers that, with the value `true`, ask Mimir not to validate the names or the number of labels.
const SKIP_VALIDATION: [&str; 2] = ["x-mimir-skiplabelnamevalidation", "x-mimir-skiplabelcountvalidation"];

/// A push to decide on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// `X-Scope-OrgID`.
    pub tenant: TenantHeader,
    /// `Content-Type`, which alone tells remote write 1.0 from 2.0.
    pub content_type: Option<Bytes>,
    /// `Retry-Attempt`, which Prometheus sends with retries; 0 on a first attempt.
    pub retry_attempt: u32,
    /// Whether a header asked Mimir not to validate labels: a Mimir that allows it accepts series that are otherwise invalid.
    pub skips_validation: bool,
    /// The body.
    pub body: PushBody,
}

impl Push {
    /// From the headers of a request. `values` gives the values of a header, one for each line that the client sent; names are in lower case. A push
    /// without a tenant is one of the default tenant, if there is one.
    pub fn from_headers<V: Iterator<Item = Bytes>>(
        values: impl Fn(&'static str) -> V,
        default_tenant: Option<&Bytes>,
        body: PushBody,
    ) -> Self {
        Self {
            tenant: TenantHeader::of(values(TENANT_HEADER)).or_default(default_tenant),
            content_type: values(CONTENT_TYPE).next(),
            retry_attempt: values(RETRY_ATTEMPT).next().map_or(0, |value| retry_attempt(&value)),
            skips_validation: SKIP_VALIDATION.into_iter().any(|name| values(name).any(|value| value == "true")),
            body,
        }
    }
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

    /// The default tenant, if there is one, in place of a header that is absent or empty: so does Mimir's own gateway.
    #[must_use]
    pub fn or_default(self, default: Option<&Bytes>) -> Self {
        match (self, default) {
            (Self::Absent, Some(default)) => Self::Once(default.clone()),
            (Self::Once(value), Some(default)) if value.is_empty() => Self::Once(default.clone()),
            (given, _) => given,
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
fn retry_attempt(value: &[u8]) -> u32 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], default: Option<&'static str>, expected: &TenantHeader) {
        let header = TenantHeader::of(values.iter().map(|value| Bytes::from_static(value.as_bytes())));
        let default = default.map(|tenant| Bytes::from_static(tenant.as_bytes()));
        assert_eq!(header.or_default(default.as_ref()), *expected, "{values:?}");
    }

    #[test]
    fn only_a_push_without_tenant_gets_the_default_one() {
        let once = |tenant: &'static str| TenantHeader::Once(Bytes::from_static(tenant.as_bytes()));
        check(&[], None, &TenantHeader::Absent);
        check(&[""], None, &once(""));
        check(&[], Some("anonymous"), &once("anonymous"));
        check(&[""], Some("anonymous"), &once("anonymous"));
        check(&["a"], Some("anonymous"), &once("a"));
        check(&["a|"], Some("anonymous"), &once("a|"));
        check(&["", ""], Some("anonymous"), &once("anonymous"));
        check(&["", "a"], Some("anonymous"), &TenantHeader::Repeated);
    }
}
