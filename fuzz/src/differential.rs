//! Any bytes, read as a push and decoded in full with prost: the verdict and the counts must be the same.
//!
//! The first byte of an input chooses the tenant's limits (bits 0 and 1), and whether the other bytes are the compressed body (bit 2) or what is
//! to be compressed.

use std::time::Duration;

use limits::{NameScheme, TenantLimits};
use remote_write::{BodyLimits, Protocol, PushCounts, Scratch, Validation, read_push};

use crate::compress;

#[path = "../../crates/remote-write/tests/differential/decoded.rs"]
mod decoded;
#[path = "../../crates/remote-write/tests/differential/reference.rs"]
mod reference;
#[path = "../../crates/remote-write/tests/differential/schema.rs"]
mod schema;
#[path = "../../crates/remote-write/tests/differential/validity.rs"]
mod validity;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };
const NOW: i64 = 1_700_000_060_000;

/// Reads an input in both ways.
pub fn read(protocol: Protocol, input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let limits = limits(*choice);
    let body = if choice & 4 == 0 { compress(bytes) } else { bytes.to_vec() };
    let validation = Validation::new(&limits);
    let mut scratch = Scratch::default();
    let first = read_push(protocol, &body, LIMITS, &validation, NOW, &mut scratch);
    let expected = expected(protocol, &body, &limits);
    let plain = || snap::raw::Decoder::new().decompress_vec(&body).unwrap_or_default();
    // What prost refuses for the end of a group, and Mimir does not, is only read.
    if first.is_err() || expected.is_some() || !reference::mixes_groups_up(protocol, &plain(), &limits) {
        match (&first, &expected) {
            (Ok(first), Some(expected)) => assert!(agree(first, expected), "{first:?} {expected:?}"),
            (first, expected) => assert_eq!(first.is_ok(), expected.is_some(), "{first:?}"),
        }
    }
    let second = read_push(protocol, &body, LIMITS, &validation, NOW, &mut scratch);
    assert_eq!(first, second, "buffers remember something");
}

/// Whether the counts are those of the reference, or, where they say that they are not exact, no fewer.
fn agree(read: &PushCounts, expected: &PushCounts) -> bool {
    if read.unmetered.is_none() {
        return read == expected;
    }
    let counts = |counts: &PushCounts| [counts.samples, counts.histograms, counts.exemplars, counts.metadata];
    let no_fewer = counts(read).iter().zip(counts(expected)).all(|(read, expected)| *read >= expected);
    no_fewer && (read.sent, read.series) == (expected.sent, expected.series)
}

fn limits(choice: u8) -> TenantLimits {
    let exemplars = i64::from(choice & 1);
    let limits = TenantLimits { max_global_exemplars_per_user: exemplars, ..TenantLimits::default() };
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

fn expected(protocol: Protocol, body: &[u8], limits: &TenantLimits) -> Option<PushCounts> {
    let claimed = snap::raw::decompress_len(body).ok()?;
    if body.is_empty() || claimed > LIMITS.max_decoded_bytes {
        return None;
    }
    let decoded = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    reference::read(protocol, &decoded, limits, NOW)
}
