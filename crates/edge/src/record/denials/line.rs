//! A line of the audit log: a denial, or a charge that was given back.

use std::sync::Arc;
use std::time::SystemTime;

use limits::Tenant;
use serde::{Serialize, Serializer};

use super::recorded::{DenialRecord, bare, cut_tenant, rfc3339};
use crate::charge::RefundCause;
use crate::verdict::Charged;

const REFUND: &str = "refund";

pub(super) enum Line {
    Denial(Arc<DenialRecord>),
    Refund(Box<RefundRecord>),
}

impl Line {
    /// The tenant without metadata.
    pub(super) fn bare_tenant(&self) -> Option<&str> {
        match self {
            Self::Denial(recorded) => recorded.bare_tenant(),
            Self::Refund(recorded) => Some(bare(&recorded.tenant)),
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Denial(recorded) => recorded.serialize(serializer),
            Self::Refund(recorded) => recorded.serialize(serializer),
        }
    }
}

/// A refund with its time.
#[derive(Debug, Serialize)]
pub(super) struct RefundRecord {
    #[serde(serialize_with = "rfc3339")]
    time: SystemTime,
    tenant: Box<str>,
    /// Always `refund`, where a denial has `deny` or `would_deny`.
    decision: &'static str,
    reason: &'static str,
    requests: u64,
    items: u64,
}

impl RefundRecord {
    /// As of now.
    pub(super) fn new(tenant: &Tenant<'_>, cause: RefundCause, charged: Charged) -> Self {
        let Charged { requests, items } = charged;
        let tenant = cut_tenant(tenant.limits_key().into());
        Self { time: SystemTime::now(), tenant, decision: REFUND, reason: cause.as_str(), requests, items }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refund_is_a_line_of_its_own_kind() {
        let tenant = Tenant::parse(Some(b"a:k=v")).unwrap();
        let mut refund = RefundRecord::new(&tenant, RefundCause::NoAnswer, Charged { requests: 1, items: 2_000 });
        refund.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_719_200_007);
        let line = Line::Refund(Box::new(refund));
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"time":"2025-11-21T10:00:00.007Z","tenant":"a:k=v","decision":"refund","#.to_owned()
                + r#""reason":"no_answer","requests":1,"items":2000}"#
        );
        assert_eq!(line.bare_tenant(), Some("a"));
    }
}
