//! More than the edge can hold: it refuses with an answer, lets nothing through unchecked, and leaves other tenants alone.

use std::thread;

use e2e::{Edge, Load, Tally, noisy, push_request, samples};

const LIMITS: &str = "
overrides:
  greedy: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
";
const MIB: u64 = 1 << 20;
const UNCHECKED: &str = "x-envoy-auth-failure-mode-allowed";

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
    let greedy = Tally::of_pushes_at_once(edge.port(), 64, &push_request("greedy", &body.bytes));
    others.wait_for_more_of(200, 50);
    let others = others.stop();

    assert_eq!((greedy.of(200) + greedy.of(503), greedy.errors.as_slice()), (64, [].as_slice()), "{greedy:?}");
    assert!(greedy.of(200) > 0, "{greedy:?}");
    assert_eq!((others.of(200), others.errors.len()), (others.answers(), 0), "{others:?}");
    let arrivals = edge.sink.arrivals();
    assert_eq!(arrivals.len(), greedy.of(200) + others.of(200));
    assert_eq!(arrivals.iter().filter(|arrival| arrival.headers.get(UNCHECKED).is_some()).count(), 0);
    assert_eq!(allowed(&edge), arrivals.len() as f64, "{greedy:?}");

    // A tenant has a quarter of 256 MiB in flight; tonic's buffer doubles while it grows. Each core decodes one body, and keeps a buffer of
    // at most 100 MiB for it; a connection (2, one a worker) holds at most a window of 4 MiB outside of the budget.
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let bound = 2 * 64 * MIB + cores * 100 * MIB + 2 * 4 * MIB + 64 * MIB;
    assert!(edge.rls.process.peak_rss() < bound, "mimir-rls: {} of {bound} bytes", edge.rls.process.peak_rss());
    // Of 1 GiB, 3/4 are for large pushes: 12 of them at 4 x 16 MiB.
    let peak = edge.envoy.process.peak_rss();
    assert!(peak < 1024 * MIB, "Envoy: {peak} bytes");
}
