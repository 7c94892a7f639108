//! The edge at 60 % of its capacity, for long, while limits change and tenants come and go: memory and latency stay flat.
//!
//! `SOAK_MINUTES` says for how long; without it the test takes seconds, and only shows that the soak works.

use std::borrow::Cow;
use std::env;
use std::time::{Duration, Instant};

use e2e::{
    Envoy, EnvoySettings, Load, MimirRls, OpenLoop, PushOutcome, Sender, WatchedFile, let_time_pass, push_request,
    samples, until,
};

const SHORT: Duration = Duration::from_secs(6);
/// As long as a third has to be for its figures to say something.
const TELLING: Duration = Duration::from_secs(30);
const CAPACITY_FOR: Duration = Duration::from_secs(3);
const CLIENTS: usize = 8;
const LOAD: f64 = 0.6;
const SAMPLES: usize = 100;
/// Tenants at a time, of which one goes and another comes every so many pushes.
const TENANTS: u64 = 200;
const PUSHES_OF_A_TENANT: u64 = 40;
const RELOAD_EVERY: Duration = Duration::from_secs(2);
const SAMPLE_MEMORY_EVERY: Duration = Duration::from_millis(250);
const MEMORY_GROWS_BY: f64 = 1.05;
const P99_GROWS_BY: f64 = 1.5;

/// One of the tenants of this moment; of ten one is over its limit.
fn sender(turn: u64) -> Sender {
    let tenant = turn / PUSHES_OF_A_TENANT + turn % TENANTS;
    let expected = if tenant.is_multiple_of(10) { 429 } else { 200 };
    let name = if expected == 429 { format!("over-{tenant}") } else { format!("tenant-{tenant}") };
    Sender { tenant: Cow::Owned(name), samples: SAMPLES, expected }
}

/// Limits of the tenants of a moment, others each time.
fn limits(turn: u64, reload: u64) -> String {
    // A push that is late still finds its limit.
    let first = (turn / PUSHES_OF_A_TENANT).saturating_sub(TENANTS / 4);
    let entries: String = (first..first + 3 * TENANTS)
        .map(|tenant| match tenant % 10 {
            0 => format!("  over-{tenant}: {{ ingestion_rate: 0.001, ingestion_burst_size: 1 }}\n"),
            _ => {
                format!("  tenant-{tenant}: {{ ingestion_rate: 1e9, ingestion_burst_size: {} }}\n", 1_000_000 + reload)
            }
        })
        .collect();
    format!("overrides:\n{entries}")
}

/// Pushes that are answered in a second where each client has one under way.
fn capacity(port: u16) -> f64 {
    let body = samples(SAMPLES).bytes;
    let load =
        Load::start(port, (0..CLIENTS).map(|client| push_request(&format!("tenant-{client}1"), &body)).collect());
    load.wait_for_more(200);
    let (begun, before) = (Instant::now(), load.tally().answers());
    // Capacity is answers over time, so time has to pass.
    let_time_pass(CAPACITY_FOR);
    let answers = load.tally().answers() - before;
    answers as f64 / begun.elapsed().as_secs_f64()
}

fn p99(outcomes: &[&PushOutcome]) -> Duration {
    let mut took: Vec<Duration> = outcomes.iter().map(|outcome| outcome.took).collect();
    took.sort_unstable();
    took.get(took.len() * 99 / 100).copied().unwrap_or_default()
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len().max(1) as f64
}

/// Answers and memory during the load.
struct Course {
    begun: Instant,
    time: Duration,
    outcomes: Vec<PushOutcome>,
    /// The resident memory of mimir-rls, with the time since `begun`.
    memory: Vec<(Duration, u64)>,
}

impl Course {
    /// The p99 of the answers and the mean memory in a third of the time.
    fn third(&self, index: u32) -> (Duration, f64) {
        let third = self.time * index / 3..self.time * (index + 1) / 3;
        let started = |outcome: &&PushOutcome| third.contains(&outcome.started.duration_since(self.begun));
        let outcomes: Vec<&PushOutcome> = self.outcomes.iter().filter(started).collect();
        let sampled = self.memory.iter().filter(|(at, _)| third.contains(at));
        let resident: Vec<u64> = sampled.map(|(_, bytes)| *bytes).collect();
        (p99(&outcomes), mean(&resident))
    }
}

#[test]
fn memory_and_answers_stay_flat() {
    let minutes = env::var("SOAK_MINUTES").ok().map(|text| text.parse::<f64>().expect("SOAK_MINUTES is a number"));
    let time = minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = WatchedFile::of(&limits(0, 0));
    let cache = format!("--limits-cache={}", folder.path().join("limits-cache").display());
    let audit = format!("--audit-log={}", folder.path().join("audit.jsonl").display());
    let quiet = "--log-level=warn".to_owned();
    let rls = MimirRls::start(folder.path(), &file.source(), &[cache, audit, quiet]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));
    let envoy = Envoy::start(folder.path(), &EnvoySettings::with_rls(vec![rls.grpc_port()]));
    let capacity = capacity(envoy.port());
    let rate = capacity * LOAD;

    let every = Duration::from_secs_f64(1.0 / rate);
    let (begun, load) = (Instant::now(), OpenLoop::start(envoy.port(), sender, every, 0));
    let (mut memory, mut reloads, mut reloaded) = (Vec::new(), 0, begun);
    while begun.elapsed() < time {
        // Memory is sampled at a fixed interval: its course over time is what is tested.
        let_time_pass(SAMPLE_MEMORY_EVERY.min(time));
        memory.push((begun.elapsed(), rls.process.rss()));
        if reloaded.elapsed() >= RELOAD_EVERY {
            (reloads, reloaded) = (reloads + 1, Instant::now());
            file.swap(&limits((begun.elapsed().as_secs_f64() * rate) as u64, reloads));
        }
    }
    let course = Course { begun, time, outcomes: load.stop(), memory };

    let ((p99_second, memory_second), (p99_last, memory_last)) = (course.third(1), course.third(2));
    let wrong = course.outcomes.iter().filter(|outcome| !outcome.is_expected()).count();
    let (grows, slows) = (memory_last / memory_second, p99_last.as_secs_f64() / p99_second.as_secs_f64());
    let version = rls.metric("rls_limits_version").unwrap_or_default();
    let tenants = rls.metric("rls_tenants").unwrap_or_default();
    eprintln!(
        "soak={:.0}s capacity={capacity:.0}/s rate={rate:.0}/s pushes={} wrong={wrong} reloads={reloads} limits_version={version} \
         tenants_held={tenants} rss_second={:.1}MiB rss_last={:.1}MiB ratio={grows:.3} p99_second={p99_second:.2?} \
         p99_last={p99_last:.2?} ratio={slows:.2}",
        time.as_secs_f64(),
        course.outcomes.len(),
        memory_second / f64::from(1 << 20),
        memory_last / f64::from(1 << 20),
    );
    assert_eq!(wrong, 0, "pushes had another answer than theirs");
    assert!(version >= reloads as f64, "{reloads} changes of limits came to version {version}");
    if time / 3 >= TELLING {
        assert!(grows <= MEMORY_GROWS_BY, "memory grows {grows}-fold");
        assert!(slows <= P99_GROWS_BY, "the p99 grows {slows}-fold");
    }
}
