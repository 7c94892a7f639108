//! Any bytes, read as a push and decoded in full with prost: the verdict and the counts must be the same.
//!
//! The first byte of an input chooses the protocol (bit 0), whether exemplars are read (bit 1), and whether the other bytes
//! are the compressed body (bit 2) or what is to be compressed.
//!
//! `cargo +nightly fuzz run read_push -- -max_total_time=120`

#![no_main]

use libfuzzer_sys::fuzz_target;
use remote_write::{BodyLimits, Exemplars, Protocol, PushCounts, Scratch, read_push};

#[path = "../../tests/differential/reference.rs"]
mod reference;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/differential/schema.rs"]
mod schema;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let protocol = if choice & 1 == 0 { Protocol::V1 } else { Protocol::V2 };
    let exemplars = if choice & 2 == 0 { Exemplars::Skip } else { Exemplars::Read };
    let body = if choice & 4 == 0 { compress(bytes) } else { bytes.to_vec() };
    let mut scratch = Scratch::default();
    let first = read_push(protocol, &body, LIMITS, exemplars, &mut scratch);
    assert_eq!(first.clone().ok(), expected(protocol, &body, exemplars), "{first:?}");
    assert_eq!(first, read_push(protocol, &body, LIMITS, exemplars, &mut scratch), "buffers remember something");
});

fn compress(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("inputs are small")
}

fn expected(protocol: Protocol, body: &[u8], exemplars: Exemplars) -> Option<PushCounts> {
    let claimed = snap::raw::decompress_len(body).ok()?;
    if body.is_empty() || claimed > LIMITS.max_decoded_bytes {
        return None;
    }
    let decoded = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    reference::read(protocol, &decoded, exemplars)
}
