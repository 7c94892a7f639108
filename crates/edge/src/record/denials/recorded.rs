//! A denial as it is written down.

use std::time::{Duration, SystemTime};

use enforce::DenyReason;
use limits::Mode;
use remote_write::PushCounts;
use serde::{Serialize, Serializer};

/// The most bytes that are kept of a message and of a tenant, so that denials in memory stay small.
const MAX_MESSAGE_BYTES: usize = 1_024;
const MAX_TENANT_BYTES: usize = 300;
/// The last second that RFC 3339 can write; it has no fifth digit for a year.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

const DENY: &str = "deny";
const WOULD_DENY: &str = "would_deny";

/// What is known of a push that is denied, or would be if its mode were enforce.
#[derive(Clone, Debug)]
pub(crate) struct DeniedPush {
    /// The key of its limits: the bare tenant, with metadata if it has any. None if no tenant is known.
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) mode: Mode,
    pub(crate) reason: DenyReason,
    /// The text of the answer.
    pub(crate) message: String,
    /// The call that was answered: `check` or `should_rate_limit`.
    pub(crate) api: &'static str,
    /// What the push holds; zeros if it was not read.
    pub(crate) counts: PushCounts,
    /// The size of the push as sent, if it is known.
    pub(crate) body_bytes: Option<usize>,
    pub(crate) retry_attempt: u32,
}

/// A denial with its time: a row of the admin API and, serialized, a line of the audit log.
#[derive(Debug, Serialize)]
pub struct DenialRecord {
    #[serde(serialize_with = "rfc3339")]
    pub(crate) time: SystemTime,
    /// Counts the denials of this process from 1; the cursor of a page.
    pub sequence: u64,
    pub(crate) tenant: Option<Box<str>>,
    /// `deny`, or `would_deny` if the push was let through all the same.
    pub(crate) decision: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) reason: &'static str,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    pub(crate) api: &'static str,
    #[serde(flatten, serialize_with = "contents")]
    pub(crate) counts: PushCounts,
    pub(crate) body_bytes: Option<usize>,
    pub(crate) retry_attempt: u32,
    pub(crate) message: String,
}

impl From<DeniedPush> for DenialRecord {
    /// With the time of now; the sequence number is for whoever keeps it.
    fn from(denial: DeniedPush) -> Self {
        let DeniedPush { tenant, mode, reason, mut message, api, counts, body_bytes, retry_attempt } = denial;
        if message.len() > MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            message.shrink_to_fit();
        }
        Self {
            time: SystemTime::now(),
            sequence: 0,
            tenant: tenant.map(cut_tenant),
            decision: if mode == Mode::Enforce { DENY } else { WOULD_DENY },
            mode: mode.as_str(),
            reason: reason.as_str(),
            status: reason.status(),
            api,
            counts,
            body_bytes,
            retry_attempt,
            message,
        }
    }
}

impl DenialRecord {
    /// Whether the denial was sent, and not only counted.
    pub(crate) fn is_sent(&self) -> bool {
        self.decision == DENY
    }

    /// The tenant without metadata.
    pub(crate) fn bare_tenant(&self) -> Option<&str> {
        self.tenant.as_deref().map(bare)
    }
}

/// The key of a tenant's limits without its metadata.
pub(super) fn bare(tenant: &str) -> &str {
    tenant.split_once(':').map_or(tenant, |(bare, _)| bare)
}

/// No tenant of Mimir's is so long; whoever finds a way to send one does not fill the memory with it.
pub(super) fn cut_tenant(tenant: Box<str>) -> Box<str> {
    match tenant.get(..tenant.floor_char_boundary(MAX_TENANT_BYTES)) {
        Some(cut) if cut.len() < tenant.len() => cut.into(),
        _ => tenant,
    }
}

/// RFC 3339 in UTC with milliseconds. A time that it cannot write becomes the nearest that it can: an error here would be a panic in
/// `serde_json`, which expects `Display` to succeed.
pub(super) fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let writable = (*time).clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST_SECOND);
    serializer.collect_str(&humantime::format_rfc3339_millis(writable))
}

/// The counts that have a meaning for the reader of one line.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn denied_push(tenant: Option<&str>, mode: Mode, message: &str) -> DeniedPush {
        DeniedPush {
            tenant: tenant.map(Into::into),
            mode,
            reason: DenyReason::IngestionRate,
            message: message.to_owned(),
            api: "check",
            counts: PushCounts { samples: 7, histograms: 1, exemplars: 2, metadata: 3, ..PushCounts::default() },
            body_bytes: Some(99),
            retry_attempt: 4,
        }
    }

    fn json(recorded: &DenialRecord) -> String {
        serde_json::to_string(recorded).unwrap()
    }

    #[test]
    fn a_line_has_everything_and_no_line_break() {
        let mut recorded = DenialRecord::from(denied_push(Some("a:k=v"), Mode::Enforce, "too\nmuch"));
        recorded.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_719_200_007);
        assert_eq!(
            json(&recorded),
            r#"{"time":"2025-11-21T10:00:00.007Z","sequence":0,"tenant":"a:k=v","decision":"deny","mode":"enforce","#
                .to_owned()
                + r#""reason":"ingestion_rate","status":429,"api":"check","samples":7,"histograms":1,"exemplars":2,"#
                + r#""metadata":3,"body_bytes":99,"retry_attempt":4,"message":"too\nmuch"}"#
        );
        assert_eq!(recorded.bare_tenant(), Some("a"));
    }

    #[test]
    fn shadow_denials_say_would_deny_and_null_unknown_tenants() {
        let recorded = DenialRecord::from(denied_push(None, Mode::Shadow, ""));
        assert!(!recorded.is_sent());
        assert!(json(&recorded).contains(r#""tenant":null,"decision":"would_deny","mode":"shadow""#));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let recorded = DenialRecord::from(denied_push(Some(&"é".repeat(1_000)), Mode::Enforce, &"€".repeat(1_000)));
        assert_eq!(recorded.tenant.as_deref().map(str::len), Some(MAX_TENANT_BYTES));
        assert_eq!(recorded.message.len(), MAX_MESSAGE_BYTES - 1);
        assert!(recorded.message.capacity() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn a_clock_that_is_wrong_breaks_no_line() {
        let mut recorded = DenialRecord::from(denied_push(None, Mode::Enforce, ""));
        for (time, written) in [
            (SystemTime::UNIX_EPOCH - Duration::from_secs(9), "1970-01-01T00:00:00.000Z"),
            (SystemTime::UNIX_EPOCH + LAST_SECOND * 2, "9999-12-31T23:59:59.000Z"),
        ] {
            recorded.time = time;
            assert!(json(&recorded).contains(written), "{}", json(&recorded));
        }
    }
}
