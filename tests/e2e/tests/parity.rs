//! No client can tell whether there is an edge in front of Mimir.
//!
//! Pushes are drawn from a seed that is printed, and each is sent once straight to a Mimir and once through the edge to a second one like
//! it. `PARITY_SEED=N` draws other pushes than the usual ones, `PARITY_PUSHES` says how many pushes it has, and `PARITY_TENANT` plays one tenant of it alone.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::env;
use std::ops::Range;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use e2e::{Edge, Mimir, WatchedFile, report, until};
use tempfile::tempdir;

mod answers;
mod counters;
mod damage;
mod datapoints;
mod pushes;
mod relabelling;
mod run;
mod series;
mod tenants;

use answers::Likeness;
use pushes::TOO_LARGE;
use run::{PUSHES_PER_TENANT, Run, Tally};
use tenants::{Kind, Tenant};

/// The default seed. It is fixed, so that chance fails no change.
const SEED: u64 = 1_795_272_815_107;
/// A few more than 20,000, since a tenant ends with a push that Mimir's handler dies of.
const PUSHES: u64 = 20_400;
/// Pushes of the run that compares two Mimirs with each other.
const CONTROL_PUSHES: u64 = 2_000;

/// So many tenants that a usual ingester would take gigabytes for them, and no compaction, which comes by the clock.
const SMALL_TENANTS: [&str; 4] = [
    "-blocks-storage.tsdb.stripe-size=64",
    "-blocks-storage.tsdb.head-chunks-write-buffer-size-bytes=65536",
    "-blocks-storage.tsdb.head-compaction-interval=15m",
    "-log.level=error",
];

/// What a whole run has answers about, or it proves little.
const SUBJECTS: [&str; 27] = [
    "200",
    "202 replicas did not match",
    "400 decompress snappy",
    "400 distributor-max-write-message-size",
    "400 duplicate-label-names",
    "400 invalid-native-histogram-schema",
    "400 label-invalid",
    "400 label-name-too-long",
    "400 label-value-invalid",
    "400 label-value-too-long",
    "400 max-label-names-per-info-series",
    "400 max-label-names-per-series",
    "400 max-native-histogram-buckets",
    "400 max-series-per-user",
    "400 metadata-missing-metric-name",
    "400 metric-name-invalid",
    "400 metric-name-too-long",
    "400 missing-metric-name",
    "400 not-reducible-native-histogram",
    "400 sample-out-of-order",
    "400 tenant-too-many-ha-clusters",
    "400 too-far-in-future",
    "400 too-far-in-past",
    "400 unit-too-long",
    "429 tenant-max-ingestion-rate",
    "429 tenant-max-request-rate",
    "500 multiple org IDs present",
];

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| unreachable!("{name} is {text:?}: write a whole number")))
}

/// The numbers of the tenants that so many pushes are of.
fn tenants(pushes: u64) -> Range<u64> {
    match setting("PARITY_TENANT") {
        Some(number) => number..number + 1,
        None => 0..pushes.div_ceil(PUSHES_PER_TENANT),
    }
}

fn unix_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Two Mimirs with the same limits.
struct Pair {
    limits: WatchedFile,
    mimirs: [Mimir; 2],
}

fn pair(folder: &Path, seed: u64, numbers: Range<u64>) -> Pair {
    let entries: String = numbers.map(|number| Tenant::of(seed, number).entries()).collect();
    let limits = WatchedFile::of(&format!("overrides:\n{entries}"));
    let mimirs = ["a", "b"].map(|name| Mimir::start_with(&folder.join(name), &limits.path(), &SMALL_TENANTS));
    Pair { limits, mimirs }
}

/// Prints the figures of a run, also when the test passes.
fn print(tally: &Tally, seed: u64, started: Instant) {
    let Tally { pushes, likenesses, subjects, forwarded, denied, unanswered, .. } = tally;
    for (subject, count) in subjects {
        eprintln!("{count:>7} {subject}");
    }
    let summary = format!(
        "\n{pushes} pushes of seed {seed} in {:.0?}: {likenesses:?}\n\
         forwarded {forwarded:?}, denied {denied:?}, died in Mimir {unanswered}",
        started.elapsed()
    );
    report(&summary);
}

#[track_caller]
fn check_equal(tally: &Tally, seed: u64) {
    let differences = &tally.differences;
    assert!(differences.is_empty(), "PARITY_SEED={seed}: the first that differ\n{}", differences.join("\n"));
    assert_eq!(tally.likenesses.get(&Likeness::Different), None, "PARITY_SEED={seed}");
    assert_eq!(tally.accepted_and_denied, 0, "PARITY_SEED={seed}");
}

/// The control: what differs here is not the edge's doing.
#[test]
fn two_mimirs_answer_generated_pushes_alike() {
    let folder = tempdir().expect("a folder can be made");
    let seed = setting("PARITY_SEED").unwrap_or(SEED);
    let (numbers, started) = (tenants(setting("PARITY_PUSHES").unwrap_or(PUSHES).min(CONTROL_PUSHES)), Instant::now());
    let Pair { limits: _limits, mimirs: [a, b] } = pair(folder.path(), seed, numbers.clone());
    let run = Run { seed, tenants: numbers, start: unix_millis(), mimir: a.port(), edge: b.port() };
    let tally = run.go();
    print(&tally, seed, started);
    check_equal(&tally, seed);
    assert_eq!(counters::answered(&a), counters::answered(&b));
    assert_eq!(counters::taken(&a, |_| true), counters::taken(&b, |_| true));
}

#[test]
fn no_client_can_tell_that_there_is_an_edge() {
    let folder = tempdir().expect("a folder can be made");
    let seed = setting("PARITY_SEED").unwrap_or(SEED);
    let (numbers, started) = (tenants(setting("PARITY_PUSHES").unwrap_or(PUSHES)), Instant::now());
    let Pair { limits, mimirs: [a, b] } = pair(folder.path(), seed, numbers.clone());
    let edge = Edge::builder()
        .upstream(b.port())
        .max_request_bytes(TOO_LARGE)
        .rls_arguments(&["--ha-tracker-url", &b.ha_tracker_url()])
        .start_with(limits);
    until("Mimir's elections have been read", || {
        edge.rls.metric(r#"rls_ha_tracker_polls_total{result="ok"}"#) > Some(0.0)
    });
    let run = Run { seed, tenants: numbers.clone(), start: unix_millis(), mimir: a.port(), edge: edge.port() };
    let tally = run.go();
    print(&tally, seed, started);
    check_equal(&tally, seed);

    if tally.pushes >= 20_000 {
        let missing: Vec<_> = SUBJECTS.iter().filter(|subject| !tally.subjects.contains_key(**subject)).collect();
        assert!(missing.is_empty(), "PARITY_SEED={seed}: no push was answered {missing:?}");
    }

    // What the edge denied did not reach the second Mimir, what it forwarded did, and both hold the same of every tenant that both took
    // pushes of.
    assert_eq!(counters::answered(&b), tally.forwarded);
    let usual: Vec<String> = numbers
        .map(|number| Tenant::of(seed, number))
        .filter(|tenant| tenant.kind == Kind::Usual)
        .map(|tenant| tenant.id)
        .collect();
    let wanted = |id: &str| usual.iter().any(|known| known == id);
    assert_eq!(counters::taken(&a, wanted), counters::taken(&b, wanted));
}
