//! More than the edge can hold: it refuses with an answer, lets nothing through unchecked, and leaves other tenants alone.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Connection, Edge, Load, Request, Response, Signal, noisy, push_request, samples, until};

const LIMITS: &str = "
overrides:
  greedy: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
";
const MIB: u64 = 1 << 20;
const UNCHECKED: &str = "x-envoy-auth-failure-mode-allowed";

/// Sends the same request so many times at once, each on a connection of its own.
fn at_once(port: u16, count: usize, request: &Request) -> Vec<Response> {
    let send = || Connection::open(port).and_then(|mut connection| connection.send(request));
    thread::scope(|scope| {
        let pushing: Vec<_> = (0..count).map(|_| scope.spawn(send)).collect();
        let answers = pushing.into_iter().map(|push| push.join().expect("no client panics"));
        answers.map(|answer| answer.expect("every push is answered")).collect()
    })
}

fn by_status(answers: &[Response]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut tally, answer| {
        *tally.entry(answer.status).or_default() += 1;
        tally
    })
}

/// Decisions to allow, of all modes and reasons.
fn allowed(edge: &Edge) -> f64 {
    let page = edge.rls.get("/metrics");
    let text = page.text();
    let allows = text.lines().filter(|line| line.starts_with(r#"rls_decisions_total{decision="allow""#));
    allows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn pushes_of_16_mb_at_once_are_held_in_bounded_memory_and_never_unchecked() {
    let edge = Edge::builder().failing_open().forgetting_bodies().start(LIMITS);
    let body = noisy(15_900_000);
    assert!((15_000_000..16 << 20).contains(&body.bytes.len()), "{}", body.bytes.len());
    let others = Load::start(edge.port(), vec![push_request("modest", &samples(10).bytes); 2]);
    others.wait_for_more_of(200, 50);
    let answers = at_once(edge.port(), 64, &push_request("greedy", &body.bytes));
    others.wait_for_more_of(200, 50);
    let others = others.stop();

    let tally = by_status(&answers);
    assert!(tally.keys().all(|status| matches!(status, 200 | 503)), "{tally:?}");
    assert!(tally.contains_key(&200), "{tally:?}");
    assert_eq!((others.of(200), others.errors.len()), (others.answers(), 0), "{others:?}");
    let arrivals = edge.sink.arrivals();
    assert_eq!(arrivals.len(), tally.get(&200).copied().unwrap_or_default() + others.of(200));
    assert_eq!(arrivals.iter().filter(|arrival| arrival.headers.get(UNCHECKED).is_some()).count(), 0);
    assert_eq!(allowed(&edge), arrivals.len() as f64, "{tally:?}");

    // A tenant has a quarter of 256 MiB in flight; tonic's buffer doubles while it grows. Each core decodes one body, and keeps a buffer of
    // at most 100 MiB for it; a connection (2, one a worker) holds at most a window of 16 MiB outside of the budget.
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let bound = 2 * 64 * MIB + cores * 100 * MIB + 2 * 16 * MIB + 64 * MIB;
    assert!(edge.rls.process.peak_rss() < bound, "mimir-rls: {} of {bound} bytes", edge.rls.process.peak_rss());
    // Of 1 GiB, 3/4 are for large pushes: 12 of them at 4 x 16 MiB.
    let peak = edge.envoy.process.peak_rss();
    assert!(peak < 1024 * MIB, "Envoy: {peak} bytes");
}

/// Pushes whose clients go away before they are answered.
fn abandon(port: u16, count: usize, request: &Request) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let connection = Connection::open(port).and_then(|connection| connection.abandon(request));
                connection.expect("Envoy accepts");
            });
        }
    });
}

#[test]
fn a_frozen_mimir_rls_that_goes_on_costs_no_error_a_second_later() {
    const CLIENTS: usize = 200;
    const ABANDONED: usize = 300;
    let edge = Edge::start(LIMITS);
    let connections = |what: &str| {
        let series = format!(r#"envoy_cluster_upstream_cx_{what}{{envoy_cluster_name="mimir_rls"}}"#);
        edge.envoy.metric(&series).unwrap_or_default()
    };
    let request = push_request("modest", &samples(10).bytes);
    let load = Load::start(edge.port(), vec![request.clone(); CLIENTS]);
    load.wait_for_more_of(200, 2 * CLIENTS);
    let before = connections("total");

    let frozen = Instant::now();
    edge.rls.process.signal(Signal::STOP);
    abandon(edge.port(), ABANDONED, &request);
    until("3 s have passed", || frozen.elapsed() >= Duration::from_secs(3));
    edge.rls.process.signal(Signal::CONT);
    let resumed = Instant::now();
    until("a second has passed", || resumed.elapsed() >= Duration::from_secs(1));
    load.wait_for_more_of(200, 2 * CLIENTS);
    let tally = load.stop();

    assert_eq!(tally.of(200) + tally.of(503), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    let last_error = tally.last_started.get(&503).map(|started| started.saturating_duration_since(resumed));
    assert!(last_error.unwrap_or_default() < Duration::from_secs(1), "{last_error:?}: {tally:?}");
    // A GOAWAY for too many resets would end connections with calls in flight, and be answered with new ones.
    assert_eq!(connections("destroy_remote_with_active_rq"), 0.0);
    assert!(connections("total") <= before + 2.0, "{before} connections before, {} now", connections("total"));
}
