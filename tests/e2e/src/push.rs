//! Bodies of pushes.

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::http1::Request;

const FIRST_TIMESTAMP_MS: i64 = 1_750_000_000_000;

/// A push and what Mimir would charge for it.
#[derive(Clone, Debug)]
pub struct Body {
    /// As it goes over the wire.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: usize,
}

/// A small push: one series with this many samples.
#[must_use]
pub fn samples(count: usize) -> Body {
    one_series((0..count).map(|index| index as f64))
}

/// A push with this many series of one sample each.
#[must_use]
pub fn series(count: usize) -> Body {
    let series: Vec<Series> = (0..count)
        .map(|index| {
            Series::sample(&[("__name__", "e2e_series"), ("index", &index.to_string())], 0.0, FIRST_TIMESTAMP_MS)
        })
        .collect();
    let bytes = encode_push(Protocol::V1, &series, &[]).expect("a test's push is below 4 GiB");
    Body { bytes, samples: count }
}

/// A push of about this many compressed bytes: samples whose values have no pattern for snappy to find.
#[must_use]
pub fn noisy(bytes: usize) -> Body {
    const PROBE: usize = 10_000;
    let probe = one_series(noise().take(PROBE)).bytes.len();
    one_series(noise().take(bytes * PROBE / probe))
}

/// The request with which Prometheus sends this body.
#[must_use]
pub fn push_request(tenant: &str, body: &[u8]) -> Request {
    Request::new("POST", "/api/v1/push")
        .header("X-Scope-OrgID", tenant)
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .header("User-Agent", "Prometheus/3.15.0")
        .body(body)
}

fn one_series(values: impl Iterator<Item = f64>) -> Body {
    let mut series = Series::sample(&[("__name__", "e2e_samples"), ("job", "e2e")], 0.0, 0);
    series.samples = values.zip(FIRST_TIMESTAMP_MS..).collect();
    let samples = series.samples.len();
    let bytes = encode_push(Protocol::V1, &[series], &[]).expect("a test's push is below 4 GiB");
    Body { bytes, samples }
}

/// Finite numbers from Marsaglia's xorshift generator, the same in every run.
fn noise() -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from_bits(state)
    })
    .filter(|value| value.is_finite())
}
