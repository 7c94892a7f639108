//! What names that clients invent cost a neighbour: its latency while another thread pushes as new tenants, spellings and clusters, and the memory that these
//! take.
//!
//! `cargo bench -p edge --bench invented`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge::{Clock, Pipeline, Push, PushBody, Recorder, Subject, TenantHeader};
use limits::{LimitsState, SourceDocument, TenantLimits};
use prometheus::Registry;
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

const OVERRIDES: &str = "
overrides:
  neighbour: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  spelled: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  pairs: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000, accept_ha_samples: true, ha_max_clusters: 0 }
";
/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(5);
const MIB: f64 = 1_048_576.0;

struct Edge {
    pipeline: Pipeline,
    recorder: Recorder,
}

impl Edge {
    fn new() -> Self {
        let document = SourceDocument::new("runtime.yaml", OVERRIDES);
        let snapshot = LimitsState::new(TenantLimits::default(), false).apply(&[document]).snapshot.unwrap();
        let (pipeline, _) = Pipeline::by_limits(snapshot, Clock::start());
        let recorder = Recorder::new(None, &Registry::new()).unwrap();
        Self { pipeline, recorder }
    }

    fn decide(&self, push: &Push) {
        let started = Instant::now();
        let verdict = self.pipeline.decide_here(push).unwrap();
        self.recorder.check(&Subject::from(push), &verdict, started.elapsed());
    }

    /// The latency of the neighbour while `flood` runs on another thread with the numbers 0, 1, 2 and so on.
    fn measure(&self, what: &str, flood: Option<&(dyn Fn(u64) -> Push + Sync)>) {
        let (stop, invented, neighbour) = (AtomicBool::new(false), AtomicU64::new(0), push("neighbour", 100, "a"));
        let before = resident();
        let mut times = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(flood) = flood.filter(|_| !stop.load(Ordering::Relaxed)) {
                    self.decide(&flood(invented.fetch_add(1, Ordering::Relaxed)));
                }
            });
            let started = Instant::now();
            while started.elapsed() < FLOOD {
                let push = Instant::now();
                self.decide(&neighbour);
                times.push(push.elapsed());
            }
            stop.store(true, Ordering::Relaxed);
        });
        times.sort_unstable();
        let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default().as_secs_f64();
        let (p50, p99, p999) = (at(0.5) * 1e6, at(0.99) * 1e6, at(0.999) * 1e6);
        let grown = (resident() - before).max(0.0) / MIB;
        let invented = invented.into_inner();
        println!(
            "{what:<28} {invented:>9} names   p50 {p50:>6.0} µs   p99 {p99:>6.0} µs   p99.9 {p999:>6.0} µs   +{grown:.0} MiB"
        );
    }
}

/// A push of so many samples by the pair `cluster`.
fn push(tenant: &str, samples: u32, cluster: &str) -> Push {
    let series = |index: u32| Series {
        labels: [("__name__", format!("m{index}")), ("__replica__", "0".to_owned()), ("cluster", cluster.to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
        samples: vec![(1.0, 1_790_000_000_000)],
        ..Series::default()
    };
    let series: Vec<_> = (0..samples).map(series).collect();
    Push {
        tenant: TenantHeader::Once(Bytes::copy_from_slice(tenant.as_bytes())),
        content_type: None,
        retry_attempt: 0,
        skips_validation: false,
        body: PushBody::Whole(encode_push(Protocol::V1, &series, &[]).unwrap().into()),
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn main() {
    let edge = Edge::new();
    edge.measure("alone", None);
    edge.measure("with one busy tenant", Some(&|_| push("spelled", 1, "a")));
    edge.measure("new tenants", Some(&|number| push(&format!("invented-{number}"), 1, "a")));
    let unreadable = PushBody::Whole(Bytes::from_static(b"unreadable"));
    let denied = |number| Push { body: unreadable.clone(), ..push(&format!("denied-{number}"), 0, "a") };
    edge.measure("new tenants, denied", Some(&denied));
    edge.measure("new spellings of one tenant", Some(&|number| push(&format!("spelled:k=v{number}"), 1, "a")));
    edge.measure("new pairs of one tenant", Some(&|number| push("pairs", 1, &format!("cluster-{number}"))));
    edge.measure("alone, afterwards", None);
    let tenants = edge.pipeline.enforcer().tenants();
    assert!(tenants <= enforce::MAX_PLACES + 3, "{tenants} tenants");
    println!("{tenants} tenants, {} MiB in all", (resident() / MIB).round());
}
