//! mimir-rls crashes or freezes while pushes come in.

use std::time::{Duration, Instant};

use e2e::{Edge, Load, Tally, push_request, samples, until};

const LIMITS: &str = "
overrides:
  within: { ingestion_rate: 10000000, ingestion_burst_size: 10000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
";
const CLIENTS: usize = 4;
const MARK: &str = "x-envoy-auth-failure-mode-allowed";

fn load(edge: &Edge) -> Load {
    Load::start(edge.port(), vec![push_request("within", &samples(10).bytes); CLIENTS])
}

/// Crashes mimir-rls under load, lets it stay away for a while, and starts it again.
fn crash_and_return(edge: &mut Edge, away: impl FnOnce(&Edge, &Load)) -> Tally {
    let load = load(edge);
    load.wait_for_more_of(200, 100);
    edge.rls.process.kill();
    away(edge, &load);
    edge.rls.restart();
    edge.envoy.wait_for_healthy_rls(1);
    load.wait_for_more_of(200, 100);
    load.stop()
}

#[test]
fn failing_open_lets_every_push_through_and_marks_it() {
    let mut edge = Edge::builder().failing_open().start(LIMITS);
    let tally = crash_and_return(&mut edge, |edge, load| {
        load.wait_for_more_of(200, 100);
        assert_eq!(edge.push("over", &samples(10).bytes).status, 200);
        edge.envoy.wait_for_healthy_rls(0);
        load.wait_for_more_of(200, 100);
    });

    assert_eq!(tally.of(200), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    let arrivals = edge.upstream.requests_of("within");
    assert_eq!(arrivals.len(), tally.of(200));
    let marked = arrivals.iter().filter(|arrival| arrival.headers.get(MARK).as_deref() == Some("true")).count();
    // 200 while it was away, and 100 not marked before that.
    assert!((200..=arrivals.len() - 100).contains(&marked), "{marked} of {} are marked", arrivals.len());
    until("mimir-rls decides again", || edge.push("over", &samples(10).bytes).status == 429);
}

#[test]
fn failing_closed_answers_503_which_prometheus_retries() {
    let mut edge = Edge::start(LIMITS);
    let tally = crash_and_return(&mut edge, |edge, load| {
        load.wait_for_more_of(503, 100);
        edge.envoy.wait_for_healthy_rls(0);
        let answer = edge.push("within", &samples(10).bytes);
        assert_eq!(answer.status, 503);
        load.wait_for_more_of(503, 100);
    });

    assert_eq!(tally.of(200) + tally.of(503), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    assert_eq!(edge.upstream.requests().len(), tally.of(200));
    assert!(edge.upstream.requests().iter().all(|arrival| arrival.headers.get(MARK).is_none()));
}

#[test]
fn health_checks_end_the_wait_for_a_frozen_mimir_rls() {
    let edge = Edge::start(LIMITS);
    let body = samples(10).bytes;
    edge.rls.process.freeze();
    until("pushes are denied long before the 5 s that a Check may take", || {
        let asked = Instant::now();
        edge.push("within", &body).status == 503 && asked.elapsed() < Duration::from_secs(1)
    });
    assert_eq!(edge.upstream.requests().len(), 0);

    edge.rls.process.resume();
    until("pushes are served again", || edge.push("within", &body).status == 200);
}
