//! Mimir is down while real Prometheus push through the edge, within their tenant's limit: no sample is lost, and the edge denies no push.
//!
//! `make test` runs a short form. `OUTAGE_SECONDS=60 make e2e TESTS=outage::` runs all combinations with outages of that length; at
//! least 30 s, since Envoy waits 25 s for a Mimir that does not answer.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{
    Behaviour, Edge, FaultyUpstream, Mimir, Prometheus, RemoteWrite, Target, WatchedFile, let_time_pass, query, report,
    until,
};
use tempfile::tempdir;

const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

const TENANT: &str = "team";
/// Of 3,000 that the tenant may send. Each scrape has five series of Prometheus' own in addition.
const SAMPLES_PER_SECOND: usize = 2_000;
const SCRAPES_PER_SECOND: usize = 5;
/// A push holds what comes in a second, and one that fails is sent again five times a second: what a charge for each comes to in an outage
/// is several times the burst.
const QUEUE: &str = "{ batch_send_deadline: 1s, max_backoff: 200ms }";

/// How Mimir fails.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// It was killed: Envoy cannot connect, until it is ready again. As with a Service, which does not lead to one that is not: a Mimir that is
    /// starting answers 500 and charges each push all the same, so that with or without an edge its limiter denies what waited.
    Killed,
    /// It takes pushes and answers none.
    Frozen,
    /// The proxy in front of it answers 503.
    Answers503,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    form: Form,
    message: &'static str,
    prometheus: usize,
    lasts: Duration,
}

/// Everything that runs; the edge forwards to Mimir or to the proxy in front of it.
struct Running {
    mimir: Mimir,
    upstream: FaultyUpstream,
    edge: Edge,
    prometheus: Vec<(String, Prometheus)>,
    _targets: Vec<Target>,
}

impl Outage {
    /// A Mimir alone denies nothing of what waits when it is back: the burst holds it, and half as much again. Nor does it answer 400 to a push
    /// that it takes twice, because the edge stopped waiting for its first response: the samples of the second one are out of order.
    fn limits(&self) -> String {
        let burst = SAMPLES_PER_SECOND as u64 * self.lasts.as_secs() * 3 / 2;
        let limits = format!("ingestion_rate: 3000, ingestion_burst_size: {burst}, out_of_order_time_window: 10m");
        format!("overrides: {{ {TENANT}: {{ {limits} }} }}")
    }

    fn start(&self, folder: &Path) -> Running {
        let limits = WatchedFile::of(&self.limits());
        let mimir = Mimir::start_with(&folder.join("mimir"), &limits.path(), &["-target=distributor,ingester,querier"]);
        let upstream = FaultyUpstream::start(Behaviour::Forward(mimir.port()));
        let upstream_port = if matches!(self.form, Form::Frozen) { mimir.port() } else { upstream.port() };
        let edge = Edge::builder().upstream(upstream_port).start_with(limits);
        let series = SAMPLES_PER_SECOND / SCRAPES_PER_SECOND / self.prometheus;
        let targets: Vec<Target> = (0..self.prometheus).map(|_| Target::start(series)).collect();
        let write = [RemoteWrite { queue_config: QUEUE, ..RemoteWrite::new(TENANT, self.message, edge.port()) }];
        let start = |(number, target): (usize, &Target)| {
            let name = format!("prometheus-{number}");
            let started = Prometheus::start_as(&name, &folder.join(&name), target, &write);
            (name, started)
        };
        let prometheus = targets.iter().enumerate().map(start).collect();
        Running { mimir, upstream, edge, prometheus, _targets: targets }
    }

    fn happen(&self, running: &mut Running) {
        let Running { mimir, upstream, .. } = running;
        match self.form {
            Form::Killed => {
                mimir.process.kill();
                upstream.close();
            }
            Form::Frozen => mimir.process.freeze(),
            Form::Answers503 => upstream.set(Behaviour::Answer(503)),
        }
        // How long Mimir is down is a part of what is tested.
        let_time_pass(self.lasts);
        match self.form {
            Form::Killed => {
                mimir.restart();
                upstream.open(Behaviour::Forward(mimir.port()));
            }
            Form::Frozen => mimir.process.resume(),
            Form::Answers503 => upstream.set(Behaviour::Forward(mimir.port())),
        }
    }

    fn check_no_sample_is_lost(&self) {
        let folder = tempdir().expect("a folder can be made");
        let mut running = self.start(folder.path());
        until("samples of each Prometheus arrive", || {
            running.held(unix_seconds(), 3600).iter().all(|[_, held]| *held > 0)
        });
        let from = unix_seconds() + 1;
        until("samples from before the outage are in Mimir", || running.all_hold_since(from));
        self.happen(&mut running);
        let back = unix_seconds() + 1;
        until("each Prometheus scrapes after the outage", || running.all_have_scraped_since(back));
        let (now, returned) = (unix_seconds(), Instant::now());
        let held = || running.held(now, now - from);
        until("what waited is in Mimir", || held().iter().all(|[scraped, held]| scraped == held));
        let caught_up = returned.elapsed();

        let sum = |name: &str| running.prometheus.iter().fold(0.0, |sum, (_, one)| sum + one.remote_write_sum(name));
        let refunds = |cause: &str| running.edge.rls.metric(&format!(r#"rls_refunds_total{{cause="{cause}"}}"#));
        let counts = held();
        report(&format!(
            "{self:?}: {} samples scraped, {} in Mimir, {} retried, {} failed, {} dropped; caught up {caught_up:.1?} after its return; \
             refunds: {:?} no_answer, {:?} mimir_error, {:?} mimir_denied; denied by the edge: {}",
            counts.iter().map(|[scraped, _]| scraped).sum::<u64>(),
            counts.iter().map(|[_, held]| held).sum::<u64>(),
            sum("samples_retried_total"),
            sum("samples_failed_total"),
            sum("samples_dropped_total"),
            refunds("no_answer"),
            refunds("mimir_error"),
            refunds("mimir_denied"),
            running.denied_by_edge(),
        ));
        assert!(sum("samples_retried_total") > 0.0, "no push of the outage failed");
        assert_eq!([sum("samples_failed_total"), sum("samples_dropped_total")], [0.0, 0.0]);
        assert_eq!((running.denied_by_edge(), running.rejected_by_mimir()), (0.0, 0.0));
        // A machine that is busy scrapes less often; how much was lost is to be seen all the same.
        let least = SAMPLES_PER_SECOND as u64 * self.lasts.as_secs() / 2;
        assert!(counts.iter().map(|[scraped, _]| scraped).sum::<u64>() > least, "{counts:?}");
    }
}

impl Running {
    /// For each Prometheus, the samples that it scraped in this many seconds before `now`, and those of them that Mimir holds.
    fn held(&self, now: u64, seconds: u64) -> Vec<[u64; 2]> {
        let count = |(name, prometheus): &(String, Prometheus)| {
            let own = format!(r#"sum(count_over_time(e2e_scrapes[{seconds}s]))"#);
            let arrived = format!(r#"sum(count_over_time(e2e_scrapes{{prometheus="{name}"}}[{seconds}s]))"#);
            [
                number(prometheus.port(), "/api/v1/query", &own, now),
                number(self.mimir.port(), "/prometheus/api/v1/query", &arrived, now),
            ]
        };
        self.prometheus.iter().map(count).collect()
    }

    /// Whether Mimir holds samples of each Prometheus from this second on.
    fn all_hold_since(&self, second: u64) -> bool {
        self.since(second).is_some_and(|counts| counts.iter().all(|[_, held]| *held > 0))
    }

    /// Whether each Prometheus has scraped samples from this second on.
    fn all_have_scraped_since(&self, second: u64) -> bool {
        self.since(second).is_some_and(|counts| counts.iter().all(|[scraped, _]| *scraped > 0))
    }

    /// What is held from this second on; none while it is not over.
    fn since(&self, second: u64) -> Option<Vec<[u64; 2]>> {
        let now = unix_seconds();
        (now > second).then(|| self.held(now, now - second))
    }

    fn denied_by_edge(&self) -> f64 {
        let denied = |reason: &str| {
            let series = format!(r#"rls_decisions_total{{decision="deny",mode="enforce",reason="{reason}"}}"#);
            self.edge.rls.metric(&series).unwrap_or(f64::NAN)
        };
        ["ingestion_rate", "ingestion_burst", "request_rate", "edge_overloaded"].map(denied).iter().sum()
    }

    /// Since its last start.
    fn rejected_by_mimir(&self) -> f64 {
        let page = self.mimir.metrics();
        let of_limits = |line: &&str| {
            line.starts_with("cortex_discarded_samples_total{") && line.contains("reason=\"rate_limited\"")
        };
        let denied = page.lines().filter(of_limits);
        denied.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The one number that a query gives at a time; 0 where there is nothing.
fn number(port: u16, path: &str, promql: &str, at: u64) -> u64 {
    let result = query(port, path, Some(TENANT), promql, Some(at));
    let value = result.first().and_then(|series| series.pointer("/value/1")?.as_str()?.parse().ok());
    value.unwrap_or_default()
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
            scope.spawn(move || of_form(form, outage).iter().for_each(Outage::check_no_sample_is_lost));
        }
    });
}
