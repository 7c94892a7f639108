//! Limits that change while tenants push: the tokens that a Mimir and an edge with one runtime config leave to them.

use std::fs;

use e2e::{Edge, Mimir, Request, Response, WatchedFile, push_request, series, until};
use tempfile::tempdir;

/// A tenant, what it has and spends, and what it is to have left after its limits changed. Rates give less than one token back in 90 s.
#[derive(Debug)]
struct Case {
    name: &'static str,
    before: &'static str,
    spent: usize,
    after: &'static str,
    left: usize,
}

const fn case(name: &'static str, before: &'static str, spent: usize, after: &'static str, left: usize) -> Case {
    Case { name, before, spent, after, left }
}

/// What holds for a tenant without an override.
const DEFAULTS: &str = "limits: { ingestion_rate: 0.001, ingestion_burst_size: 50 }";
const DEFAULT_FLAGS: [&str; 2] = ["-distributor.ingestion-rate-limit=0.001", "-distributor.ingestion-burst-size=50"];

const FACTOR_OF_50: &str = "ingestion_rate: 0.01, ingestion_burst_factor: 5000";
const FACTOR_OF_5: &str = "ingestion_rate: 0.001, ingestion_burst_factor: 5000";

/// Each left count is of samples.
const SAMPLES: [Case; 13] = [
    case("raised", "ingestion_burst_size: 10", 4, "ingestion_burst_size: 100", 6),
    case("lowered", "ingestion_burst_size: 100", 60, "ingestion_burst_size: 50", 40),
    case("lowered-below-the-rest", "ingestion_burst_size: 100", 30, "ingestion_burst_size: 20", 20),
    case("lowered-to-nothing", "ingestion_burst_size: 100", 60, "ingestion_burst_size: 0", 0),
    case("slower", "ingestion_rate: 0.01", 45, "ingestion_rate: 0.001", 5),
    case("stopped", "ingestion_rate: 0.01", 45, "ingestion_rate: 0", 5),
    case("removed", "ingestion_burst_size: 200", 180, "", 20),
    case("removed-below-the-rest", "ingestion_burst_size: 200", 20, "", 50),
    case("first", "", 20, "ingestion_burst_size: 100", 30),
    case("factor-comes", "ingestion_burst_size: 10", 4, FACTOR_OF_50, 6),
    case("factor-goes", FACTOR_OF_50, 4, "ingestion_burst_size: 10", 10),
    case("factor-of-another-rate", FACTOR_OF_50, 4, FACTOR_OF_5, 5),
    case(
        "limited",
        "ingestion_rate: 1.7976931348623157e308, ingestion_burst_size: 10",
        100,
        "ingestion_burst_size: 100",
        10,
    ),
];

/// Each left count is of requests, of [`ASKED`]; each has one sample.
const REQUESTS: [Case; 6] = [
    case(
        "requests-raised",
        "request_rate: 0.001, request_burst_size: 5",
        2,
        "request_rate: 0.001, request_burst_size: 100",
        3,
    ),
    case(
        "requests-lowered",
        "request_rate: 0.001, request_burst_size: 20",
        2,
        "request_rate: 0.001, request_burst_size: 5",
        5,
    ),
    case("requests-removed", "request_rate: 0.001, request_burst_size: 5", 5, "", ASKED),
    case("requests-first", "", 3, "request_rate: 0.001, request_burst_size: 5", 0),
    case(
        "requests-burst-0",
        "request_rate: 0.001, request_burst_size: 5",
        5,
        "request_rate: 0.001, request_burst_size: 0",
        0,
    ),
    case(
        "requests-from-burst-0",
        "request_rate: 0.001, request_burst_size: 0",
        10,
        "request_rate: 0.001, request_burst_size: 5",
        5,
    ),
];
const ASKED: usize = 10;

/// A tenant whose limiter Mimir creates last. Its denials show the burst of this limiter.
const LAST: &str = "last";
const OVER_ANY_BURST: usize = 1_000;

fn runtime_config(limits: fn(&Case) -> &'static str, burst_of_last: u32) -> String {
    let tenants = SAMPLES.iter().chain(&REQUESTS).filter(|case| !limits(case).is_empty());
    let overrides: String = tenants.map(|case| format!("  {}: {{ {} }}\n", case.name, limits(case))).collect();
    format!("overrides:\n{overrides}  {LAST}: {{ ingestion_burst_size: {burst_of_last} }}\n")
}

/// Sends the same to both, and gives the status, which is the same, as is the text.
#[track_caller]
fn both(mimir: &Mimir, edge: &Edge, case: &Case, samples: usize) -> u16 {
    let request = push_request(case.name, &series(samples).bytes);
    let seen = |answer: Response| (answer.status, answer.text().into_owned());
    let (by_mimir, by_edge) = (seen(mimir.send(&request)), seen(edge.send(&request)));
    assert_eq!(by_mimir, by_edge, "{samples} samples: {case:?}");
    by_mimir.0
}

#[test]
fn edge_and_mimir_keep_equal_tokens_when_limits_change() {
    let folder = tempdir().expect("a folder can be made");
    let defaults = folder.path().join("defaults.yaml");
    fs::write(&defaults, DEFAULTS).expect("a file can be written");
    let limits = WatchedFile::of(&runtime_config(|case| case.before, 7));
    let mimir = Mimir::start_with(&folder.path().join("mimir"), &limits.path(), &DEFAULT_FLAGS);
    let defaults = format!("--default-limits={}", defaults.display());
    let edge = Edge::builder().rls_arguments(&[&defaults]).start_with(limits);

    for case in &SAMPLES {
        assert_eq!(both(&mimir, &edge, case, case.spent), 200, "{case:?}");
    }
    for case in &REQUESTS {
        assert!((0..case.spent).all(|_| both(&mimir, &edge, case, 1) == 200), "{case:?}");
    }
    let over = push_request(LAST, &series(OVER_ANY_BURST).bytes);
    has_burst(&mimir, &over, 7);
    edge.limits.swap(&runtime_config(|case| case.after, 9));
    until("the edge has taken the limits over", || edge.rls.metric("rls_limits_version") == Some(2.0));
    // A limiter of Mimir reads the limits at a push, if 10 s have passed since it last did. Once the one that was made last
    // has, the others do at their next push.
    until("Mimir's limiters have taken the limits over", || mimir.send(&over).text().contains("set to 9,"));

    for case in &SAMPLES {
        assert_eq!(both(&mimir, &edge, case, case.left + 1), 429, "{case:?}");
        if case.left > 0 {
            assert_eq!(both(&mimir, &edge, case, case.left), 200, "{case:?}");
            assert_eq!(both(&mimir, &edge, case, 1), 429, "{case:?}");
        }
    }
    for case in &REQUESTS {
        let statuses: Vec<u16> = (0..ASKED).map(|_| both(&mimir, &edge, case, 1)).collect();
        assert_eq!(statuses, [vec![200; case.left], vec![429; ASKED - case.left]].concat(), "{case:?}");
    }
}

#[track_caller]
fn has_burst(mimir: &Mimir, over: &Request, burst: u32) {
    let denial = mimir.send(over);
    assert!(denial.text().contains(&format!("set to {burst},")), "{}", denial.text());
}
