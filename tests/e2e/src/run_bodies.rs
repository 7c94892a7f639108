//! The body of the example push that `make run` prints and that no limit lets through, committed in `ops/run`.

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

/// One committed file.
#[derive(Debug)]
pub struct RunBody {
    /// Its name in `ops/run`.
    pub file: &'static str,
    /// Samples in it.
    pub samples: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The file: a push of a sample more than the burst that Mimir gives a tenant by default (200,000).
#[must_use]
pub fn run_bodies() -> [RunBody; 1] {
    [run_body("push-over-burst.snappy", 200_001)]
}

/// A small push with samples of 1970.
#[must_use]
pub fn push_of_1970() -> Vec<u8> {
    run_body("", 10).bytes
}

/// Samples of a time of their own: of those with the same one Mimir takes the first.
const SAMPLES_OF_A_SERIES: usize = 128;

/// The series are alike, so that a large push is a small file.
fn run_body(file: &'static str, samples: usize) -> RunBody {
    let series = |samples: usize| {
        let mut series = Series::sample(&[("__name__", "make_run_example"), ("job", "example")], 0.0, 0);
        series.samples = (0..).take(samples).map(|time| (0.0, time)).collect();
        series
    };
    let mut all = vec![series(SAMPLES_OF_A_SERIES); samples / SAMPLES_OF_A_SERIES];
    all.push(series(samples % SAMPLES_OF_A_SERIES));
    let bytes = encode_push(Protocol::V1, &all, &[]).expect("an example is below 4 GiB");
    RunBody { file, samples, bytes }
}
