//! Pushes as a reader of remote write sees them.

use limits::TenantLimits;
use remote_write::{BodyLimits, Protocol, PushCounts, Scratch, Validation, read_push};

use super::Payload;
use crate::args::{Command, LoadArgs, parse};

fn config(line: &str) -> LoadArgs {
    let words = ["edgectl", "load-remote-write"].into_iter().chain(line.split_whitespace());
    match parse(words.map(Into::into)) {
        Ok(Command::LoadRemoteWrite(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

fn counts(protocol: Protocol, body: &[u8]) -> PushCounts {
    let limits = BodyLimits { max_decoded_bytes: 1 << 20 };
    let validation = Validation::new(&TenantLimits::default());
    read_push(protocol, body, limits, &validation, 1_700_000_000_000, &mut Scratch::default()).expect("a readable push")
}

/// The times of the samples that `payload` sends for each of its series.
fn times(payload: &mut Payload, now: i64) -> Vec<i64> {
    payload.next(now).expect("encodes");
    let series = payload.series.first().expect("a series");
    series.samples.iter().map(|(_, time)| *time).collect()
}

#[test]
fn a_push_has_the_samples_that_were_asked_for() {
    for (name, protocol) in [("1.0", Protocol::V1), ("2.0", Protocol::V2)] {
        let config = config(&format!("--series 7 --samples-per-series 3 --protocol {name}"));
        let body = Payload::new(&config, 0).next(1_700_000_000_000).unwrap();
        let counts = counts(protocol, &body);
        assert_eq!((counts.series, counts.samples, counts.items()), (7, 21, 21), "{name}");
        assert_eq!(config.samples_per_push(), 21);
    }
}

#[test]
fn sample_times_end_now_and_rise_strictly() {
    let mut payload = Payload::new(&config("--samples-per-series 3"), 0);
    assert_eq!(times(&mut payload, 1000), [998, 999, 1000]);
    assert_eq!(times(&mut payload, 1010), [1008, 1009, 1010]);
    assert_eq!(times(&mut payload, 1011), [1011, 1012, 1013], "nothing is sent twice");
    assert_eq!(times(&mut payload, 900), [1014, 1015, 1016], "a clock that is set back moves no time back");
}

#[test]
fn no_two_workers_share_a_series() {
    let config = config("--series 3 --job nightly");
    let labels =
        |worker| Payload::new(&config, worker).series.into_iter().map(|series| series.labels).collect::<Vec<_>>();
    let mut all = [labels(0), labels(1)].concat();
    assert!(all.iter().all(|labels| labels.is_sorted()), "remote write wants labels sorted");
    assert!(all.iter().all(|labels| labels.contains(&("job".to_owned(), "nightly".to_owned()))));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6);
}
