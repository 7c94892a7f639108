//! What the fuzz targets do with their inputs. Each has a yardstick beyond not panicking; the targets themselves are one line each, so that an
//! input can be replayed by anything that links this.
//!
//! `fuzz/run [SECONDS]` runs every target.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a finding is a panic")]

pub mod cache;
pub mod check;
pub mod differential;
pub mod feed;
pub mod overrides;
pub mod rules;
pub mod should_rate_limit;

mod server;

/// As a compressed body.
#[must_use]
pub fn compress(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("inputs are small")
}
