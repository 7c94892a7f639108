//! The whole rollout with real NGINX, Envoy, mimir-rls and Mimir under constant load: direct, mirror, canary 1 to 100 %, full, and back.

use std::time::Duration;

use e2e::{
    Edge, Envoy, EnvoySettings, Mimir, MimirRls, Nginx, ProxyBackends, ProxyClient, ProxyLoad, ProxyTally, Request,
    WatchedFile, until,
};
use tempfile::tempdir;

/// `greedy` offers 4,000 samples a second, and `eager` 40 pushes: on a busy machine less, but far more than their limits.
const LIMITS: &str = "
overrides:
  steady: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }
  calm: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }
  greedy: { ingestion_rate: 500, ingestion_burst_size: 1000 }
  eager: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000, request_rate: 10, request_burst_size: 15 }
";
const WITHIN: [&str; 2] = ["steady", "calm"];
const OVER: [&str; 2] = ["greedy", "eager"];

const SHARE: &str = "split_clients $tenant $by_share { 1% mimir_envoy; * mimir_push; }";

/// Twice mirror.conf, six shares, twice full, direct.conf.
const RELOADS: usize = 11;

/// Answers that are waited for in each step, some 2 s of the load.
const ANSWERS: usize = 400;

fn clients() -> Vec<ProxyClient> {
    let client = |tenant, samples, millis| ProxyClient::new(tenant, samples, Duration::from_millis(millis));
    let mut clients = vec![client("steady", 50, 20); 2];
    clients.extend(vec![client("calm", 500, 100); 2]);
    clients.extend(vec![client("greedy", 50, 25); 2]);
    clients.extend(vec![client("eager", 5, 50); 2]);
    clients
}

/// Everything of a rollout, and the load during it.
struct Rollout {
    load: ProxyLoad,
    nginx: Nginx,
    edge: Edge,
    mirror: Envoy,
    mimir: Mimir,
}

impl Rollout {
    fn start(folder: &std::path::Path) -> Self {
        let limits = WatchedFile::of(LIMITS);
        let mimir = Mimir::start(&folder.join("mimir"), &limits.path());
        let edge = Edge::builder().upstream(mimir.port()).start_with(limits);
        // The Envoy of the mirror step is one that never contacts Mimir.
        let settings =
            EnvoySettings { failure_mode_allow: true, ..EnvoySettings::with_rls(vec![edge.rls.grpc_port()]) };
        let mirror = Envoy::start(folder, &settings);
        let backends = ProxyBackends::new(mimir.port(), edge.port());
        let nginx = Nginx::start("direct.conf", backends);
        let load = ProxyLoad::start(nginx.port(), clients());
        let rollout = Self { load, nginx, edge, mirror, mimir };
        rollout.load.wait_for_more(ANSWERS);
        rollout
    }

    fn mirror(&self) {
        let (enforcing, mirroring) =
            (format!("127.0.0.1:{}", self.edge.port()), format!("127.0.0.1:{}", self.mirror.port()));
        self.nginx.switch_to_edited("mirror.conf", |text| text.replace(&enforcing, &mirroring));
        let (decided, _) = self.step();
        assert!(decided > 0, "nothing was mirrored");
    }

    /// The upgrade to mode enforce comes before NGINX's reload: copies still go to an Envoy that can reach Mimir.
    fn mirror_into_an_enforcing_envoy(&self) {
        self.nginx.switch_to("mirror.conf");
        let (decided, _) = self.step();
        assert!(decided > 0, "nothing was mirrored");
    }

    /// Edits the share as an operator does, by requests so that a part of each tenant's is in.
    fn canary(&self, percent: u32) {
        self.nginx.switch_to_edited("canary.conf", |text| {
            assert!(text.contains(SHARE), "canary.conf has no {SHARE}");
            text.replace(SHARE, &SHARE.replace("$tenant ", "$request_id ").replace("1%", &format!("{percent}%")))
        });
        let (mut decided, mut answered) = self.step();
        let share = f64::from(percent) / 100.0;
        // An edge that gets nothing is to show, also where a share of 400 answers is next to nothing: the chance of none is e^-20.
        while answered as f64 * share < 20.0 {
            let more = self.step();
            (decided, answered) = (decided + more.0, answered + more.1);
        }
        let expected = answered as f64 * share;
        // Five standard deviations, and what was under way at the beginning and at the end.
        let bound = 5.0 * (expected * (1.0 - share)).sqrt() + clients().len() as f64;
        eprintln!("canary {percent} %: {decided} of {answered} pushes were decided by the edge");
        assert!(
            decided > 0 && (decided as f64 - expected).abs() <= bound,
            "{decided} of {answered}, expected {expected:.0} +- {bound:.0}"
        );
    }

    fn full(&self, file: &str) {
        self.nginx.switch_to(file);
        let (decided, answered) = self.step();
        assert!(decided.abs_diff(answered) <= clients().len(), "{decided} of {answered}");
    }

    /// Waits until no old worker is left, and then for a while; what the edge decided and what was answered in it.
    fn step(&self) -> (usize, usize) {
        self.nginx.wait_for_old_workers();
        let before = (decided(&self.edge.rls), self.load.answers());
        self.load.wait_for_more(ANSWERS);
        (decided(&self.edge.rls) - before.0, self.load.answers() - before.1)
    }
}

/// Pushes that mimir-rls has decided on.
fn decided(rls: &MimirRls) -> usize {
    let page = rls.http(&Request::new("GET", "/metrics"));
    let lines = page.text();
    let values =
        lines.lines().filter(|line| line.starts_with("rls_decisions_total{")).filter_map(|line| line.rsplit_once(' '));
    values.filter_map(|(_, value)| value.parse::<usize>().ok()).sum()
}

/// What Mimir says that it took of a tenant and kept.
fn taken(mimir: &Mimir, tenant: &str) -> (Option<f64>, Option<f64>, Option<f64>) {
    (
        mimir.metric(&format!(r#"cortex_distributor_received_samples_total{{user="{tenant}"}}"#)),
        mimir.metric(&format!(r#"cortex_ingester_ingested_samples_total{{user="{tenant}"}}"#)),
        mimir.metric(&format!(r#"cortex_ingester_ingested_samples_failures_total{{user="{tenant}"}}"#)),
    )
}

#[track_caller]
fn is_what_mimir_alone_would_have_answered(tally: &ProxyTally) {
    assert_eq!(tally.errors, [""; 0]);
    assert!(tally.other_than(&[200, 429]).is_empty(), "{:?}", tally.other_than(&[200, 429]));
    for tenant in WITHIN {
        assert_eq!(tally.of(tenant, 429).count(), 0, "{tenant} is within its limits");
    }
    for tenant in OVER {
        let texts = |by_edge: bool| {
            let denials = tally.of(tenant, 429).filter(move |push| push.answer.reason().is_some() == by_edge);
            let mut texts: Vec<String> = denials.map(|push| push.answer.text().into_owned()).collect();
            texts.sort();
            texts.dedup();
            texts
        };
        let (by_edge, by_mimir) = (texts(true), texts(false));
        assert_eq!(by_mimir.len(), 1, "{tenant}: {by_mimir:?}");
        assert_eq!(by_edge, by_mimir, "{tenant}");
        assert!(tally.of(tenant, 200).count() > 100, "{tenant}");
    }
}

#[test]
fn rollout_and_rollback_lose_no_push_and_cause_no_error() {
    let folder = tempdir().expect("a folder can be made");
    let mut rollout = Rollout::start(folder.path());
    rollout.mirror();
    rollout.mirror_into_an_enforcing_envoy();
    for percent in [1, 5, 10, 25, 50, 100] {
        rollout.canary(percent);
    }
    rollout.full("full-fail-open.conf");
    rollout.full("full-fail-closed.conf");
    rollout.nginx.switch_to("direct.conf");
    let (decided, _) = rollout.step();
    assert_eq!(decided, 0, "the edge decided on pushes after the rollback");
    rollout.edge.envoy.process.kill();
    rollout.edge.rls.process.kill();
    rollout.load.wait_for_more(ANSWERS);

    let Rollout { load, mimir, .. } = rollout;
    let tally = load.stop();
    eprintln!(
        "{} pushes, {} repeated on a new connection, slowest {:?}",
        tally.pushed.len(),
        tally.repeated,
        tally.slowest()
    );
    is_what_mimir_alone_would_have_answered(&tally);
    // A reload closes the idle connection of a client, once for each.
    assert!(tally.repeated <= clients().len() * RELOADS, "{} pushes were repeated", tally.repeated);
    for tenant in WITHIN.iter().chain(&OVER) {
        let accepted = tally.accepted(tenant) as f64;
        eprintln!("{tenant}: {accepted} samples accepted, {} pushes denied", tally.of(tenant, 429).count());
        let expected = (Some(accepted), Some(accepted), Some(0.0));
        until("Mimir's ingester has counted", || taken(&mimir, tenant).1 >= Some(accepted));
        assert_eq!(taken(&mimir, tenant), expected, "{tenant}");
    }
}
