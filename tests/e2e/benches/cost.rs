//! What the edge costs compared with what it saves: the CPU time of mimir-rls and Envoy for a push, and of Mimir for the same one.
//!
//! Both get the same pushes in turn, one after the other on one connection, so that the ratio within a run says more than its figures. The programs
//! are those of the release build beside this one; Envoy has the configuration that the chart renders.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::{self, Display};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{Connection, Edge, Mimir, Process, Request, WatchedFile, push_request};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

#[path = "../../../crates/remote-write/benches/batch/labels.rs"]
mod batch;

const SIZES: [u32; 5] = [100, 775, 2_000, 10_000, 38_000];
/// Of each case, in turn; the median counts.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(800);

/// Why a push is denied, or that it is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Rate,
    Requests,
    Allowed,
}

impl Case {
    const ALL: [Self; 3] = [Self::Rate, Self::Requests, Self::Allowed];

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "denied by the ingestion rate",
            Self::Requests => "denied by the request rate",
            Self::Allowed => "allowed",
        }
    }

    /// The cost of the edge in parts of Mimir's that it is to stay below, if there is a target for this size.
    fn target(self, samples: u32) -> Option<f64> {
        match (self, samples) {
            (Self::Rate, 100) => Some(1.6),
            (Self::Rate, 775) => Some(0.42),
            (Self::Rate, 2_000) => Some(0.28),
            (Self::Rate, 10_000) => Some(0.16),
            (Self::Rate, _) => Some(0.14),
            (Self::Requests, _) => Some(3.0),
            (Self::Allowed, 100) => Some(0.40),
            (Self::Allowed, 2_000) => Some(0.10),
            (Self::Allowed, _) => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Requests => "requests",
            Self::Allowed => "allowed",
        }
    }

    fn tenant(self, samples: u32) -> String {
        format!("{}-{samples}", self.kind())
    }

    fn limits(self, samples: u32) -> String {
        let limits = match self {
            // The first push empties the bucket.
            Self::Rate => format!("ingestion_rate: 0.001, ingestion_burst_size: {samples}"),
            Self::Requests => format!("{OPEN}, request_rate: 0.001, request_burst_size: 1"),
            Self::Allowed => OPEN.to_owned(),
        };
        format!("  {}: {{ {limits} }}\n", self.tenant(samples))
    }
}

const OPEN: &str = "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000, max_global_series_per_user: 0";

/// CPU time of a push.
#[derive(Clone, Copy, Default)]
struct Cost {
    mimir: Duration,
    rls: Duration,
    envoy: Duration,
}

impl Cost {
    fn ratio(self) -> f64 {
        (self.rls + self.envoy).as_secs_f64() / self.mimir.as_secs_f64()
    }
}

fn main() {
    let documents = Case::ALL.iter().flat_map(|case| SIZES.map(|samples| case.limits(samples)));
    let limits = WatchedFile::of(&format!("overrides:\n{}", documents.collect::<String>()));
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
    let mimir = Mimir::start(&folder.path().join("mimir"), Path::new(&limits.path()));
    let edge = Edge::builder().forgetting_bodies().start_with(limits);
    println!("| push | | Mimir | mimir-rls | Envoy | ratio | target |\n|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    // Only what is named is measured, such as `-- rate 2000`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    for case in Case::ALL {
        for samples in SIZES {
            let names = [case.kind().to_owned(), samples.to_string()];
            if !named.iter().all(|name| names.contains(name)) {
                continue;
            }
            let cost = measure(&edge, &mimir, case, samples);
            let target = case.target(samples);
            println!("{}", Row { case, samples, cost, target });
            if target.is_some_and(|target| cost.ratio() > target) {
                missed.push(format!("{samples} samples {}", case.name()));
            }
        }
    }
    println!(
        "\nµs of CPU a push; the ratio is that of the edge to Mimir. Resident: mimir-rls {} MiB, Envoy {} MiB.",
        mebibytes(&edge.rls.process),
        mebibytes(&edge.envoy.process)
    );
    println!("Over their target: {}.", if missed.is_empty() { "none".to_owned() } else { missed.join(", ") });
}

fn mebibytes(process: &Process) -> u64 {
    process.rss() >> 20
}

struct Row {
    case: Case,
    samples: u32,
    cost: Cost,
    target: Option<f64>,
}

impl Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, samples, cost, target } = self;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        write!(
            formatter,
            "| {samples} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {} |",
            case.name(),
            micros(cost.mimir),
            micros(cost.rls),
            micros(cost.envoy),
            cost.ratio(),
            target.map_or_else(|| "–".to_owned(), |target| format!("{target:.2}"))
        )
    }
}

/// The median of some rounds, by the ratio. The first one warms both up.
fn measure(edge: &Edge, mimir: &Mimir, case: Case, samples: u32) -> Cost {
    let mut pushes = Pushes::of(case, samples);
    let mut rounds: Vec<Cost> = (0..=ROUNDS)
        .map(|_| {
            let [of_mimir] = round(mimir.port(), [&mimir.process], &mut pushes);
            let [rls, envoy] = round(edge.port(), [&edge.rls.process, &edge.envoy.process], &mut pushes);
            Cost { mimir: of_mimir, rls, envoy }
        })
        .skip(1)
        .collect();
    rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    rounds.get(ROUNDS / 2).copied().unwrap_or_default()
}

/// Pushes of a tenant. The times of those that are stored increase, as those of a Prometheus do.
struct Pushes {
    tenant: String,
    is_stored: bool,
    series: Vec<Series>,
    next: Request,
}

impl Pushes {
    fn of(case: Case, samples: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let series = |index| {
            let labels = batch::labels(index);
            Series { labels, samples: vec![(f64::from(index) * 1.37, now)], ..Series::default() }
        };
        let (series, tenant): (Vec<Series>, _) = ((0..samples).map(series).collect(), case.tenant(samples));
        Self { next: encoded(&tenant, &series), tenant, is_stored: case == Case::Allowed, series }
    }

    fn next(&mut self) -> &Request {
        if self.is_stored {
            for (value, time) in self.series.iter_mut().flat_map(|series| &mut series.samples) {
                *value += 1.0;
                *time += 1;
            }
            self.next = encoded(&self.tenant, &self.series);
        }
        &self.next
    }
}

fn encoded(tenant: &str, series: &[Series]) -> Request {
    push_request(tenant, &encode_push(Protocol::V1, series, &[]).unwrap_or_else(|error| unreachable!("{error}")))
}

/// The CPU time of these programs for each of the pushes that are sent in turn for a while.
fn round<const N: usize>(port: u16, programs: [&Process; N], pushes: &mut Pushes) -> [Duration; N] {
    let mut open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}"));
    let before = programs.map(Process::cpu_time);
    let (started, mut sent) = (Instant::now(), 0_u32);
    while started.elapsed() < ROUND {
        // A server that denies a push before it has read all of it closes the connection, and its answer may be lost with that.
        if open.send(pushes.next()).is_err() {
            open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}"));
        }
        sent += 1;
    }
    let mut used = programs.map(Process::cpu_time);
    for (used, before) in used.iter_mut().zip(before) {
        *used = used.saturating_sub(before) / sent;
    }
    used
}
