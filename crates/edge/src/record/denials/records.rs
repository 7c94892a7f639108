//! The lines of the audit log: a denial, or a refund. A denial is a row of the admin API too.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use enforce::Denial;
use limits::{Mode, Tenant};
use remote_write::PushCounts;
use serde::{Serialize, Serializer};

use crate::charge::RefundCause;
use crate::verdict::Charged;

/// The most bytes that are kept of a message and of a tenant, so that denials in memory stay small.
const MAX_MESSAGE_BYTES: usize = 1_024;
const MAX_TENANT_BYTES: usize = 300;
/// The last second that RFC 3339 can express, whose years have four digits.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

const DENY: &str = "deny";
const WOULD_DENY: &str = "would_deny";
const REFUND: &str = "refund";

/// A denial with its time: a row of the admin API and, serialized, a line of the audit log.
#[derive(Debug, Serialize)]
pub struct DenialRecord {
    #[serde(serialize_with = "rfc3339")]
    pub(crate) time: SystemTime,
    /// Counts the denials of this process from 1; the cursor of a page.
    pub sequence: u64,
    /// The key of its limits: the tenant with its metadata.
    pub(crate) tenant: Option<Box<str>>,
    /// `deny`, or `would_deny` if the push was forwarded because of its mode.
    pub(crate) decision: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) reason: &'static str,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// The call: `check` or `should_rate_limit`.
    pub(crate) api: &'static str,
    #[serde(flatten, serialize_with = "contents")]
    pub(crate) counts: PushCounts,
    /// The size of the body as sent, if it is known.
    pub(crate) body_bytes: Option<usize>,
    pub(crate) retry_attempt: u32,
    pub(crate) message: String,
}

impl DenialRecord {
    /// A denial by the call `api`, with the current time. `tenant` is the key of its limits, and `None` without a known tenant.
    /// [`super::recent::Recent::add`] sets the sequence number.
    pub(crate) fn new(api: &'static str, tenant: Option<&str>, mode: Mode, denial: &Denial) -> Self {
        Self {
            time: SystemTime::now(),
            sequence: 0,
            tenant: tenant.map(|tenant| cut(tenant, MAX_TENANT_BYTES).into()),
            decision: if mode == Mode::Enforce { DENY } else { WOULD_DENY },
            mode: mode.as_str(),
            reason: denial.reason().as_str(),
            status: denial.status(),
            api,
            counts: PushCounts::default(),
            body_bytes: None,
            retry_attempt: 0,
            message: cut(denial.message(), MAX_MESSAGE_BYTES).to_owned(),
        }
    }

    /// Whether the denial was sent to the client, and not only counted.
    pub(crate) fn is_sent(&self) -> bool {
        self.decision == DENY
    }

    /// The tenant without metadata.
    pub(crate) fn bare_tenant(&self) -> Option<&str> {
        self.tenant.as_deref().map(bare)
    }
}

/// The key of a tenant's limits without its metadata.
fn bare(tenant: &str) -> &str {
    tenant.split_once(':').map_or(tenant, |(bare, _)| bare)
}

/// At most `max` bytes of a text.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// RFC 3339 in UTC with milliseconds. A time that it cannot express becomes the nearest one: an error here would be a panic in
/// `serde_json`, which expects `Display` to succeed.
fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let writable = (*time).clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST_SECOND);
    serializer.collect_str(&humantime::format_rfc3339_millis(writable))
}

/// The counts that a line shows.
fn contents<S: Serializer>(counts: &PushCounts, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Contents {
        samples: u64,
        histograms: u64,
        exemplars: u64,
        metadata: u64,
    }
    let PushCounts { samples, histograms, exemplars, metadata, .. } = *counts;
    Contents { samples, histograms, exemplars, metadata }.serialize(serializer)
}

pub(super) enum Line {
    Denial(Arc<DenialRecord>),
    Refund(Box<RefundRecord>),
}

impl Line {
    /// The tenant without metadata.
    pub(super) fn bare_tenant(&self) -> Option<&str> {
        match self {
            Self::Denial(record) => record.bare_tenant(),
            Self::Refund(record) => Some(bare(&record.tenant)),
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Denial(record) => record.serialize(serializer),
            Self::Refund(record) => record.serialize(serializer),
        }
    }
}

/// A refund with its time: a line of the audit log.
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
    /// With the current time.
    pub(super) fn new(tenant: &Tenant<'_>, cause: RefundCause, charged: Charged) -> Self {
        let Charged { requests, items } = charged;
        let tenant = cut(tenant.limits_key(), MAX_TENANT_BYTES).into();
        Self { time: SystemTime::now(), tenant, decision: REFUND, reason: cause.as_str(), requests, items }
    }
}

#[cfg(test)]
mod tests {
    use enforce::DenyReason;

    use super::*;

    fn record(tenant: Option<&str>, mode: Mode, message: &str) -> DenialRecord {
        DenialRecord {
            counts: PushCounts { samples: 7, histograms: 1, exemplars: 2, metadata: 3, ..PushCounts::default() },
            body_bytes: Some(99),
            retry_attempt: 4,
            ..DenialRecord::new("check", tenant, mode, &Denial::new(DenyReason::IngestionRate, message))
        }
    }

    fn json(record: &DenialRecord) -> String {
        serde_json::to_string(record).unwrap()
    }

    #[test]
    fn a_line_has_everything_and_no_line_break() {
        let mut record = record(Some("a:k=v"), Mode::Enforce, "too\nmuch");
        record.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_719_200_007);
        assert_eq!(
            json(&record),
            r#"{"time":"2025-11-21T10:00:00.007Z","sequence":0,"tenant":"a:k=v","decision":"deny","mode":"enforce","#
                .to_owned()
                + r#""reason":"ingestion_rate","status":429,"api":"check","samples":7,"histograms":1,"exemplars":2,"#
                + r#""metadata":3,"body_bytes":99,"retry_attempt":4,"message":"too\nmuch"}"#
        );
        assert_eq!(record.bare_tenant(), Some("a"));
    }

    #[test]
    fn shadow_denials_say_would_deny_and_null_unknown_tenants() {
        let record = record(None, Mode::Shadow, "");
        assert!(!record.is_sent());
        assert!(json(&record).contains(r#""tenant":null,"decision":"would_deny","mode":"shadow""#));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let record = record(Some(&"é".repeat(1_000)), Mode::Enforce, &"€".repeat(1_000));
        assert_eq!(record.tenant.as_deref().map(str::len), Some(MAX_TENANT_BYTES));
        assert_eq!(record.message.len(), MAX_MESSAGE_BYTES - 1);
        assert!(record.message.capacity() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn a_clock_that_is_wrong_breaks_no_line() {
        let mut record = record(None, Mode::Enforce, "");
        for (time, written) in [
            (SystemTime::UNIX_EPOCH - Duration::from_secs(9), "1970-01-01T00:00:00.000Z"),
            (SystemTime::UNIX_EPOCH + LAST_SECOND * 2, "9999-12-31T23:59:59.000Z"),
        ] {
            record.time = time;
            assert!(json(&record).contains(written), "{}", json(&record));
        }
    }

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
