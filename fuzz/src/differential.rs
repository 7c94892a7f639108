//! Any bytes, read as a push and decoded in full with prost: both must give the same error or counts.
//!
//! The first byte of an input chooses the tenant's limits (bits 0 and 1), whether the other bytes are the body as sent (bit 2) or
//! before compression, and whether series are deduplicated and relabelled (bit 3).

use std::time::Duration;

use limits::{NameScheme, RelabelRule, TenantLimits};
use remote_write::{BodyLimits, Protocol, Scratch};

use crate::compress;

#[path = "../../crates/remote-write/tests/differential/decoded.rs"]
mod decoded;
#[path = "../../crates/remote-write/tests/differential/reference.rs"]
mod reference;
#[path = "../../crates/remote-write/tests/differential/schema.rs"]
mod schema;
#[path = "../../crates/remote-write/tests/differential/treatment.rs"]
mod treatment;
#[path = "../../crates/remote-write/tests/differential/validity.rs"]
mod validity;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };
const NOW: i64 = 1_700_000_060_000;

/// Reads an input in both ways.
pub fn read(protocol: Protocol, input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let limits = limits(*choice);
    let body = if choice & 4 == 0 { compress(bytes) } else { bytes.to_vec() };
    let mut scratch = Scratch::default();
    let first = treatment::read(protocol, &body, (LIMITS, &limits, None), NOW, &mut scratch);
    let expected = expected(protocol, &body, &limits);
    let plain = || snap::raw::Decoder::new().decompress_vec(&body).unwrap_or_default();
    // prost rejects some ends of groups that Mimir accepts: such a push is only read.
    if first.is_err() || expected.is_some() || !reference::mixes_groups_up(protocol, &plain(), &limits) {
        let is_as_expected = match (&first, &expected) {
            (Ok(actual), Some(expected)) => expected.agree(actual),
            (actual, expected) => actual.is_err() && expected.is_none(),
        };
        assert!(is_as_expected, "{first:?}, expected {expected:?}");
    }
    let second = treatment::read(protocol, &body, (LIMITS, &limits, None), NOW, &mut scratch);
    assert_eq!(first, second, "buffers keep state between pushes");
}

fn limits(choice: u8) -> TenantLimits {
    let exemplars = i64::from(choice & 1);
    let limits = TenantLimits { max_global_exemplars_per_user: exemplars, ..TenantLimits::default() };
    let limits = if choice & 8 == 0 { limits } else { treated(limits) };
    if choice & 2 == 0 {
        return limits;
    }
    TenantLimits {
        max_label_names_per_series: 3,
        max_label_name_length: 8,
        max_label_value_length: 8,
        max_native_histogram_buckets: 2,
        max_exemplars_per_series_per_request: 1,
        past_grace_period: Duration::from_secs(60),
        name_validation_scheme: NameScheme::Utf8,
        ..limits
    }
}

/// The limits of a tenant with HA deduplication series by series and a relabelling rule.
fn treated(limits: TenantLimits) -> TenantLimits {
    let rule = RelabelRule {
        source_labels: ["a".into()].into(),
        regex: "(.).*".into(),
        target_label: "b".into(),
        ..RelabelRule::default()
    };
    TenantLimits {
        accept_ha_samples: true,
        ha_tracker_per_sample_dedupe: true,
        ha_cluster_label: "a".into(),
        ha_replica_label: "b".into(),
        metric_relabel_configs: [rule].into(),
        drop_labels: ["c".into()].into(),
        ..limits
    }
}

fn expected(protocol: Protocol, body: &[u8], limits: &TenantLimits) -> Option<reference::Expected> {
    let claimed = snap::raw::decompress_len(body).ok()?;
    if body.is_empty() || claimed > LIMITS.max_decoded_bytes {
        return None;
    }
    let decoded = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    reference::read(protocol, &decoded, limits, NOW)
}
