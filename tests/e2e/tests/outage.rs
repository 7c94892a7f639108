//! Mimir is away while real Prometheus push through the edge, within their tenant's limit: nobody loses a sample, and the edge refuses nothing.
//!
//! `make test` runs a short form. `OUTAGE_SECONDS=60 make e2e TESTS=outage::` runs all combinations with outages of that length; at
//! least 30 s, since Envoy waits 25 s for a Mimir that does not answer.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{
    Door, Edge, Gate, Mimir, Prometheus, RemoteWrite, Request, Signal, Target, WatchedFile, send, until, wait_until,
};
use tempfile::tempdir;

const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

const TENANT: &str = "team";
/// Of 3,000 that the tenant may send. Each scrape has five series of Prometheus' own beside them.
const SAMPLES_PER_SECOND: usize = 2_000;
const SCRAPES_PER_SECOND: usize = 5;
/// A push holds what comes in a second, and one that fails is sent again five times a second: what a charge for each comes to in an outage
/// is several times the burst.
const QUEUE: &str = "{ batch_send_deadline: 1s, max_backoff: 200ms }";

/// How Mimir is away.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// It was killed: Envoy cannot connect, until it is ready again. As with a Service, which does not lead to one that is not: a Mimir that is
    /// starting answers 500 and charges each push all the same, so that with or without an edge its limiter refuses what waited.
    Killed,
    /// It takes pushes and answers none.
    Frozen,
    /// What stands before it answers 503.
    Answers503,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    form: Form,
    message: &'static str,
    prometheus: usize,
    lasts: Duration,
}

/// Everything that runs; the port of Mimir and of what stands before it are the same to the edge.
struct Running {
    mimir: Mimir,
    gate: Gate,
    edge: Edge,
    prometheus: Vec<(String, Prometheus)>,
    _targets: Vec<Target>,
}

impl Outage {
    /// A Mimir alone refuses nothing of what waits when it is back: the burst holds it, and half as much again. Nor does it answer 400 to a push
    /// that it takes twice, because nobody waited for its first answer: the samples of the second one are out of order.
    fn limits(&self) -> String {
        let burst = SAMPLES_PER_SECOND as u64 * self.lasts.as_secs() * 3 / 2;
        let limits = format!("ingestion_rate: 3000, ingestion_burst_size: {burst}, out_of_order_time_window: 10m");
        format!("overrides: {{ {TENANT}: {{ {limits} }} }}")
    }

    fn start(&self, folder: &Path) -> Running {
        let limits = WatchedFile::of(&self.limits());
        let mimir = Mimir::start_with(&folder.join("mimir"), &limits.path(), &["-target=distributor,ingester,querier"]);
        let gate = Gate::start(Door::To(mimir.port()));
        let behind = if matches!(self.form, Form::Frozen) { mimir.port() } else { gate.port() };
        let edge = Edge::builder().upstream(behind).start_with(limits);
        let series = SAMPLES_PER_SECOND / SCRAPES_PER_SECOND / self.prometheus;
        let targets: Vec<Target> = (0..self.prometheus).map(|_| Target::start(series)).collect();
        let write = [RemoteWrite { queue_config: QUEUE, ..RemoteWrite::new(TENANT, self.message, edge.port()) }];
        let start = |(number, target): (usize, &Target)| {
            let name = format!("prometheus-{number}");
            let started = Prometheus::start_as(&name, &folder.join(&name), target, &write);
            (name, started)
        };
        let prometheus = targets.iter().enumerate().map(start).collect();
        Running { mimir, gate, edge, prometheus, _targets: targets }
    }

    fn happen(&self, running: &mut Running) {
        let Running { mimir, gate, .. } = running;
        match self.form {
            Form::Killed => {
                mimir.process.kill();
                gate.close();
            }
            Form::Frozen => mimir.process.signal(Signal::STOP),
            Form::Answers503 => gate.set(Door::Answer(503)),
        }
        pass(self.lasts);
        match self.form {
            Form::Killed => {
                mimir.restart();
                gate.open(Door::To(mimir.port()));
            }
            Form::Frozen => mimir.process.signal(Signal::CONT),
            Form::Answers503 => gate.set(Door::To(mimir.port())),
        }
    }

    fn nobody_loses_a_sample(&self) {
        let folder = tempdir().expect("a folder can be made");
        let mut running = self.start(folder.path());
        until("samples of each Prometheus arrive", || {
            running.held(unix_seconds(), 3600).iter().all(|[_, held]| *held > 0)
        });
        let from = unix_seconds() + 1;
        pass(Duration::from_secs(3));
        self.happen(&mut running);
        pass(Duration::from_secs(2));
        let (now, returned) = (unix_seconds(), Instant::now());
        let held = || running.held(now, now - from);
        until("what waited is in Mimir", || held().iter().all(|[scraped, held]| scraped == held));
        let caught_up = returned.elapsed();

        let sum = |name: &str| running.prometheus.iter().fold(0.0, |sum, (_, one)| sum + one.remote_write_sum(name));
        let refunds = |cause: &str| running.edge.rls.metric(&format!(r#"rls_refunds_total{{cause="{cause}"}}"#));
        let counts = held();
        report(&format!(
            "{self:?}: {} samples scraped, {} in Mimir, {} retried, {} failed, {} dropped; caught up {caught_up:.1?} after its return; \
             refunds: {:?} no_answer, {:?} mimir_error, {:?} mimir_denied; refused by the edge: {}",
            counts.iter().map(|[scraped, _]| scraped).sum::<u64>(),
            counts.iter().map(|[_, held]| held).sum::<u64>(),
            sum("samples_retried_total"),
            sum("samples_failed_total"),
            sum("samples_dropped_total"),
            refunds("no_answer"),
            refunds("mimir_error"),
            refunds("mimir_denied"),
            running.refused_by_edge(),
        ));
        assert!(sum("samples_retried_total") > 0.0, "no push of the outage failed");
        assert_eq!([sum("samples_failed_total"), sum("samples_dropped_total")], [0.0, 0.0]);
        assert_eq!((running.refused_by_edge(), running.refused_by_mimir()), (0.0, 0.0));
        // A machine that is busy scrapes less often; how much was lost is to be seen all the same.
        let least = SAMPLES_PER_SECOND as u64 * self.lasts.as_secs() / 2;
        assert!(counts.iter().map(|[scraped, _]| scraped).sum::<u64>() > least, "{counts:?}");
    }
}

impl Running {
    /// For each Prometheus, the samples of so many seconds before `now` that it scraped, and those of them that Mimir holds.
    fn held(&self, now: u64, seconds: u64) -> Vec<[u64; 2]> {
        let count = |(name, prometheus): &(String, Prometheus)| {
            let own = format!(r#"sum(count_over_time(e2e_scrapes[{seconds}s]))"#);
            let arrived = format!(r#"sum(count_over_time(e2e_scrapes{{prometheus="{name}"}}[{seconds}s]))"#);
            [query(prometheus.port(), "", &own, now), query(self.mimir.port(), "/prometheus", &arrived, now)]
        };
        self.prometheus.iter().map(count).collect()
    }

    fn refused_by_edge(&self) -> f64 {
        let denied = |reason: &str| {
            let series = format!(r#"rls_decisions_total{{decision="deny",mode="enforce",reason="{reason}"}}"#);
            self.edge.rls.metric(&series).unwrap_or(f64::NAN)
        };
        ["ingestion_rate", "ingestion_burst", "request_rate", "edge_overloaded"].map(denied).iter().sum()
    }

    /// Since its last start.
    fn refused_by_mimir(&self) -> f64 {
        let page = self.mimir.metrics();
        let of_limits = |line: &&str| {
            line.starts_with("cortex_discarded_samples_total{") && line.contains("reason=\"rate_limited\"")
        };
        let refused = page.lines().filter(of_limits);
        refused.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The one number that a query gives at a time; 0 where there is nothing.
fn query(port: u16, prefix: &str, query: &str, at: u64) -> u64 {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let request = Request::new("GET", &format!("{prefix}/api/v1/query?time={at}&query={query}"));
    let answer = send(port, &request.header("X-Scope-OrgID", TENANT));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value = answer.json().pointer("/data/result/0/value/1").and_then(|value| value.as_str()?.parse().ok());
    value.unwrap_or_default()
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time itself is what is waited for.
fn pass(duration: Duration) {
    wait_until(Instant::now() + duration);
}

/// Shown whether the test passes or not, unlike what a test prints.
fn report(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// The outages of a form, one after the other: `short`, unless all are asked for.
fn of_form(form: Form, short: Outage) -> Vec<Outage> {
    let Ok(asked) = env::var("OUTAGE_SECONDS") else { return vec![short] };
    let lasts = Duration::from_secs(asked.parse().expect("OUTAGE_SECONDS is a number"));
    let combinations = [(V1, 1), (V1, 3), (V2, 1), (V2, 3)];
    combinations.map(|(message, prometheus)| Outage { form, message, prometheus, lasts }).to_vec()
}

#[test]
fn an_outage_of_mimir_costs_no_sample() {
    let short = [(Form::Killed, V1, 3, 10), (Form::Frozen, V2, 1, 27), (Form::Answers503, V2, 1, 10)];
    thread::scope(|scope| {
        for (form, message, prometheus, seconds) in short {
            let outage = Outage { form, message, prometheus, lasts: Duration::from_secs(seconds) };
            scope.spawn(move || of_form(form, outage).iter().for_each(Outage::nobody_loses_a_sample));
        }
    });
}
