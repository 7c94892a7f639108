//! The fuzz targets' functions. Each checks more than the absence of panics. The targets themselves are one line each, so that
//! other programs can replay an input.
//!
//! `fuzz/run [SECONDS]` runs every target.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a finding is a panic")]

pub mod cache;
pub mod check;
pub mod differential;
pub mod early;
pub mod feed;
pub mod overrides;
pub mod rules;
pub mod should_rate_limit;

mod server;

/// A compressed body.
#[must_use]
pub fn compress(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("inputs are small")
}
