//! Three distributors in one ring, each with a bucket of its own, and one edge bucket in front of them.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{Edge, Mimir, Pace, Response, WatchedFile, push_paced, push_request, report, series};
use tempfile::tempdir;

/// Samples in a push.
const PUSH: usize = 100;
/// 3,000 samples a second by all and 6,000 at once by each: in 60 s, 180,000 and 18,000 at once. One push in 1,980 is far less than 1 %.
const LIMITS: &str = "
overrides:
  straight: { ingestion_rate: 3000, ingestion_burst_size: 6000 }
  edged: { ingestion_rate: 3000, ingestion_burst_size: 6000 }
";
/// 6,000 samples a second for 60 s, twice the rate.
const TWICE_THE_RATE: Pace = Pace { every: Duration::from_micros(16_667), pushes: 3_600, clients: 6 };

/// What one tenant's pushes were answered.
#[derive(Debug)]
struct Outcome {
    accepted: usize,
    denied_by_edge: usize,
    rejected_by_mimir: usize,
    took: Duration,
}

impl Outcome {
    /// Offers a tenant's pushes to the ports in turn.
    fn of(tenant: &str, ports: &[u16]) -> Self {
        let started = Instant::now();
        let answers = push_paced(ports, &push_request(tenant, &series(PUSH).bytes), TWICE_THE_RATE);
        let took = started.elapsed();
        let samples = |kind: fn(&Response) -> bool| PUSH * answers.iter().filter(|answer| kind(answer)).count();
        let outcome = Self {
            accepted: samples(|answer| answer.status == 200),
            denied_by_edge: samples(|answer| answer.status == 429 && answer.reason().is_some()),
            rejected_by_mimir: samples(|answer| answer.status == 429 && answer.reason().is_none()),
            took,
        };
        assert_eq!(
            outcome.accepted + outcome.denied_by_edge + outcome.rejected_by_mimir,
            PUSH * answers.len(),
            "{:?}",
            answers.iter().find(|answer| !matches!(answer.status, 200 | 429))
        );
        outcome
    }

    fn allowed_by_edge(&self) -> usize {
        self.accepted + self.rejected_by_mimir
    }

    fn report(&self, who: &str) {
        let Self { accepted, denied_by_edge, rejected_by_mimir, took } = self;
        let rate = *accepted as f64 / took.as_secs_f64();
        report(&format!(
            "{who}: {accepted} samples accepted in {took:.1?} ({rate:.0}/s), {denied_by_edge} denied by the edge, {rejected_by_mimir} by Mimir"
        ));
    }
}

/// The samples that a ring says it took of a tenant.
fn received(ring: &[Mimir], tenant: &str) -> f64 {
    let series = format!(r#"cortex_distributor_received_samples_total{{user="{tenant}"}}"#);
    ring.iter().filter_map(|mimir| mimir.metric(&series)).sum()
}

#[test]
fn an_edge_allows_what_three_distributors_accept() {
    let folder = tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(LIMITS);
    let ring = Mimir::ring(folder.path(), 3, &limits.path(), &[]);
    let ports: Vec<u16> = ring.iter().map(Mimir::port).collect();
    let edge = Edge::builder().upstreams(ports.clone()).rls_arguments(&["--distributors=3"]).start_with(limits);

    let (straight, edged) = thread::scope(|scope| {
        let straight = scope.spawn(|| Outcome::of("straight", &ports));
        let edged = Outcome::of("edged", &[edge.port()]);
        (straight.join().expect("the pushes that go straight are answered"), edged)
    });
    straight.report("straight to three distributors");
    edged.report("through the edge to the same three");
    let share = |samples: usize| samples as f64 / straight.accepted as f64;
    report(&format!(
        "of what three accept without an edge, it allows {:.4}, and {:.4} get through both",
        share(edged.allowed_by_edge()),
        share(edged.accepted)
    ));

    assert!(share(edged.allowed_by_edge()) >= 0.99, "the edge allows less: {edged:?}, {straight:?}");
    // What an unlucky distributor denied comes back to the tenant, and is spent on what another one takes.
    assert!(share(edged.accepted) >= 0.99, "less gets through both: {edged:?}, {straight:?}");
    // A tenth of the rate, and once a burst: 18,000 and 6,000 of 198,000.
    assert!(share(edged.allowed_by_edge()) <= 1.13, "the edge allows much more: {edged:?}, {straight:?}");
    // Overload, or nothing is shown: more than 180,000 + 18,000 is not accepted of 360,000.
    assert!(straight.rejected_by_mimir > 100_000 && edged.denied_by_edge > 100_000, "{edged:?}, {straight:?}");
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(edged.allowed_by_edge() as f64));
    for (tenant, outcome) in [("straight", &straight), ("edged", &edged)] {
        assert_eq!(received(&ring, tenant), outcome.accepted as f64, "{tenant}");
    }
}
