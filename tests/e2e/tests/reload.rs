//! Limits change while pushes come in.

use e2e::{Edge, Load, Tally, WatchedFile, push_request, samples, until};

const LOW: &str = "overrides: { steady: {}, team: { ingestion_rate: 0.001, ingestion_burst_size: 5 } }";
const HIGH: &str = "overrides: { steady: {}, team: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 } }";

fn load(edge: &Edge) -> Load {
    let body = samples(10);
    Load::start(
        edge.port(),
        ["team", "steady", "team"].iter().map(|tenant| push_request(tenant, &body.bytes)).collect(),
    )
}

/// Changes the limits of `team` down and up again, three times each way, and waits for each change to show in the answers.
fn change_under_load(change: impl Fn(&WatchedFile, &str)) -> (Edge, Tally) {
    let limits = WatchedFile::absent();
    change(&limits, LOW);
    let edge = Edge::builder().start_with(limits);
    let body = samples(10).bytes;
    let load = load(&edge);
    for _ in 0..3 {
        change(&edge.limits, HIGH);
        until("the higher limit holds", || edge.push("team", &body).status == 200);
        load.wait_for_more(20);
        change(&edge.limits, LOW);
        until("the lower limit holds", || edge.push("team", &body).status == 429);
        load.wait_for_more(20);
    }
    let tally = load.stop();
    (edge, tally)
}

#[track_caller]
fn check(change: impl Fn(&WatchedFile, &str)) {
    let (edge, tally) = change_under_load(change);
    assert_eq!(tally.of(200) + tally.of(429), tally.answers(), "{tally:?}");
    assert!(tally.of(200) > 0 && tally.of(429) > 0, "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    // The first document, and six changes of it.
    assert_eq!(edge.rls.metric("rls_limits_version"), Some(7.0));
    assert_eq!(edge.rls.metric("rls_limits_problems"), Some(0.0));
}

#[test]
fn a_file_written_in_place_is_read_again() {
    check(WatchedFile::write);
}

#[test]
fn a_file_replaced_by_a_rename_is_read_again() {
    check(WatchedFile::replace);
}

#[test]
fn a_file_swapped_by_symbolic_links_is_read_again() {
    check(WatchedFile::swap);
}

#[test]
fn a_broken_file_keeps_the_last_good_limits() {
    let edge = Edge::start(LOW);
    let body = samples(10).bytes;
    let load = load(&edge);
    for broken in ["overrides: { team: { ingestion_rate: fast } }", "overrides: [", "", "\u{0}\u{1}"] {
        edge.limits.replace(broken);
        until(&format!("{broken:?} is a problem"), || {
            edge.rls.metric("rls_limits_problems").is_some_and(|problems| problems > 0.0)
        });
        assert_eq!(edge.push("team", &body).status, 429, "{broken:?}");
        assert_eq!(edge.rls.metric("rls_limits_version"), Some(1.0), "{broken:?}");
        assert_eq!(edge.rls.readiness(), Some(200), "{broken:?}");
        edge.limits.replace(LOW);
        until("the problem is gone", || edge.rls.metric("rls_limits_problems") == Some(0.0));
    }
    edge.limits.replace(HIGH);
    until("good limits hold again", || edge.push("team", &body).status == 200);

    let tally = load.stop();
    assert_eq!(tally.of(200) + tally.of(429), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
}
