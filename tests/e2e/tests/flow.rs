//! `edgectl flow-test` and `edgectl rollout status` in each phase of a rollout, with the real NGINX, Envoy, mimir-rls, Mimir and Prometheus.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot do its part fails")]

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use e2e::{
    Edge, Envoy, EnvoySettings, Mimir, Nginx, Prometheus, ProxyBackends, WatchedFile, built, free_port, push_request,
    samples, send, until, until_within,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The tenant of the test can have no push of more than 1,000 samples, so that the push over its burst is small. `steady` is far from its limits.
const LIMITS: &str = "
overrides:
  edgectl-flow-test: { ingestion_rate: 1000, ingestion_burst_size: 1000 }
  small: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
  steady: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }
";

/// For tests that are repeated.
const PATIENCE: Duration = Duration::from_secs(90);

/// NGINX gives up copies that a busy machine is late with. Here each is to be counted.
fn with_patience(text: String) -> String {
    text.replace("connect_timeout 100ms;", "connect_timeout 10s;").replace("read_timeout 500ms;", "read_timeout 10s;")
}

/// Everything of a rollout, with a Prometheus that scrapes it.
struct Flow {
    nginx: Nginx,
    edge: Edge,
    mirror: Envoy,
    mimir: Mimir,
    prometheus: Prometheus,
    _folder: TempDir,
}

impl Flow {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let limits = WatchedFile::of(LIMITS);
        let mimir = Mimir::start_with(&folder.path().join("mimir"), &limits.path(), &[Mimir::READS]);
        let edge = Edge::builder().upstream(mimir.port()).start_with(limits);
        let settings =
            EnvoySettings { failure_mode_allow: true, ..EnvoySettings::with_rls(vec![edge.rls.grpc_port()]) };
        let mirror = Envoy::start(folder.path(), &settings);
        let nginx = Nginx::start("direct.conf", ProxyBackends::new(mimir.port(), edge.port()));
        // Mimir has a series only once it has something to count, and a rate does not count its first value.
        assert_eq!(send(nginx.port(), &push_request("steady", &samples(1).bytes)).status, 200);
        assert_eq!(send(nginx.port(), &push_request("small", &samples(2).bytes)).status, 429);
        let targets = [
            (edge.rls.http_port(), "/metrics"),
            (edge.envoy.metrics_port(), "/stats/prometheus"),
            (mirror.metrics_port(), "/stats/prometheus"),
            (mimir.port(), "/metrics"),
        ];
        let prometheus = Prometheus::start_with("prometheus", &folder.path().join("prometheus"), |_| {
            let mut text = "global: { scrape_interval: 500ms, scrape_timeout: 500ms }\nscrape_configs:\n".to_owned();
            for (port, path) in targets {
                write!(text, "- job_name: '{port}'\n  metrics_path: {path}\n  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n")
                    .expect("a string takes any write");
            }
            text
        });
        until("Prometheus has scraped all", || prometheus.query("up == 1").len() == 4);
        Self { nginx, edge, mirror, mimir, prometheus, _folder: folder }
    }

    /// Copies go to the Envoy of the mirror step, which never contacts Mimir.
    fn mirror(&self) {
        let enforcing = format!("127.0.0.1:{}", self.edge.port());
        let mirroring = format!("127.0.0.1:{}", self.mirror.port());
        self.nginx.switch_to_edited("mirror.conf", |text| with_patience(text.replace(&enforcing, &mirroring)));
    }

    fn canary(&self, percent: u32) {
        self.nginx.switch_to_edited("canary.conf", |text| {
            assert!(text.contains("{ 1% mimir_envoy;"), "canary.conf has no share");
            text.replace("{ 1% mimir_envoy;", &format!("{{ {percent}% mimir_envoy;"))
        });
    }

    /// Runs edgectl with `-o json`: its exit code, and what it prints.
    fn edgectl(&self, arguments: &str) -> (Option<i32>, Value) {
        let mut command = Command::new(built("edgectl"));
        for name in ["TENANT_ID", "API_USER", "API_KEY", "AUTH_TOKEN", "EXTRA_HEADERS", "TLS_CA_PATH"] {
            command.env_remove(format!("MIMIR_{name}"));
        }
        command.args(arguments.split_whitespace()).arg("--output=json");
        command.env("MIMIR_ADDRESS", format!("http://127.0.0.1:{}", self.mimir.port()));
        command.env("MIMIR_EDGE_ADDRESS", format!("http://127.0.0.1:{}", self.edge.rls.http_port()));
        let output = command.output().expect("edgectl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text);
        (output.status.code(), value.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&output.stderr).as_ref())))
    }

    fn flow_test(&self, arguments: &str) -> (Option<i32>, Value) {
        self.edgectl(&format!("flow-test --url http://127.0.0.1:{}/api/v1/push {arguments}", self.nginx.port()))
    }

    /// Repeats a test until it has this exit code and these steps fail: a Mimir that a busy machine stops for seconds answers 500.
    #[track_caller]
    fn ends(&self, arguments: &str, code: i32, failing: &[&str]) -> Value {
        let mut last = Value::Null;
        until_within(PATIENCE, arguments, || {
            let (ended, report) = self.flow_test(arguments);
            let steps = report["steps"].as_array().cloned().unwrap_or_default();
            let failed: Vec<_> =
                steps.iter().filter(|step| step["outcome"] == "failed").map(|step| &step["name"]).collect();
            let is_expected = ended == Some(code) && failed == failing;
            if !is_expected {
                eprintln!("{arguments}: {report:#}");
            }
            last = report;
            is_expected
        });
        assert_eq!(last["passed"], json!(code == 0), "{last:#}");
        last
    }

    #[track_caller]
    fn flows(&self, arguments: &str) -> Value {
        self.ends(arguments, 0, &[])
    }

    #[track_caller]
    fn fails(&self, arguments: &str, failing: &[&str]) {
        let report = self.ends(arguments, 1, failing);
        let steps = report["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| (step["outcome"] == "passed") == step["hint"].is_null()), "{report:#}");
    }

    /// The checks of a phase with their verdicts. Go on, if none is not met.
    fn status(&self, phase: &str) -> Vec<Value> {
        let arguments =
            format!("rollout status --phase {phase} --for 2s --prometheus http://127.0.0.1:{}", self.prometheus.port());
        let (code, status) = self.edgectl(&arguments);
        let checks = status["checks"].as_array().cloned().expect("a status has checks");
        let goes_on = checks.iter().all(|check| check["verdict"] != "not_met");
        assert_eq!((code, &status["go_on"]), (Some(if goes_on { 0 } else { 1 }), &json!(goes_on)), "{status:#}");
        checks
    }

    /// Waits until the phase goes on, whatever the durations are: those of a busy machine say nothing.
    fn goes_on(&self, phase: &str) {
        let is_duration = |check: &Value| check["check"].as_str().is_some_and(|name| name.contains("seconds"));
        let mut last = Vec::new();
        until(&format!("phase {phase} goes on"), || {
            last = self.status(phase);
            let waits = last.iter().any(|check| check["verdict"] == "not_met" && !is_duration(check));
            if waits {
                eprintln!("{}", Value::from(last.clone()));
            }
            !waits
        });
        let known = last.iter().flat_map(|check| check["expressions"].as_array().cloned().unwrap_or_default());
        let with_values =
            known.filter(|expression| expression["values"].as_array().is_some_and(|values| !values.is_empty()));
        assert!(with_values.count() >= last.len() / 2, "{last:?}");
    }

    /// Waits until a check of the phase is not met, with this reason.
    fn stops(&self, phase: &str, name: &str, reason: &str) {
        until(&format!("{name}: {reason}"), || {
            let checks = self.status(phase);
            let check = checks.iter().find(|check| check["check"] == name).expect("a check of this name");
            check["verdict"] == "not_met" && check["why"].as_str().is_some_and(|why| why.contains(reason))
        });
    }
}

const ACCEPTED: &str = "a push is accepted";
const REFUSED: &str = "a push over the limit is refused";

fn load(flow: &Flow) {
    let output = Command::new(built("edgectl"))
        .args([
            "load-remote-write",
            "--tenant=steady",
            "--rate=2000",
            "--series=10",
            "--duration=4s",
            "--concurrency=2",
        ])
        .arg(format!("--url=http://127.0.0.1:{}/api/v1/push", flow.nginx.port()))
        .output()
        .expect("edgectl runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn each_phase_of_a_rollout_is_told_from_the_others() {
    let mut flow = Flow::start();
    flow.fails("--phase mirror --wait 3s", &["the edge decided a copy", "the edge would have refused it"]);
    flow.fails("--phase full --wait 3s", &["the edge decided it", REFUSED]);

    flow.mirror();
    load(&flow);
    let report = flow.flows("--phase mirror");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(5), "{report:#}");
    flow.fails("--phase full", &[REFUSED]);
    flow.goes_on("mirror");

    flow.canary(25);
    let report = flow.flows("--phase canary --share 25 --probes 300");
    assert!(report["steps"][3]["detail"].as_str().is_some_and(|text| text.contains(" of 300 tenants")), "{report:#}");
    flow.fails("--phase canary --share 60 --probes 300", &["the edge answers its share of the tenants"]);
    flow.goes_on("canary");

    flow.nginx.switch_to("full-fail-closed.conf");
    let report = flow.flows("--phase full");
    let refusal = report["steps"][3]["detail"].as_str().unwrap_or_default();
    assert!(refusal.starts_with("1001 samples: 429 by the edge (ingestion_burst): "), "{report:#}");
    assert!(refusal.contains("(err-mimir-tenant-max-ingestion-rate)"), "{report:#}");
    flow.fails("--phase mirror", &[REFUSED]);
    flow.fails("--phase canary --share 25 --probes 100", &["the edge answers its share of the tenants"]);
    flow.goes_on("full");

    flow.edge.rls.process.kill();
    flow.fails("--phase full --wait 3s --timeout 2s", &[ACCEPTED, REFUSED]);
    flow.stops("full", "Envoy's own errors", "it was up to ");
}

/// Where something is unreachable, the error names it, and the exit code says which.
#[test]
fn nothing_answers_at_a_wrong_address() {
    let nowhere = free_port();
    let run = |arguments: &[&str]| {
        let output = Command::new(built("edgectl")).args(arguments).output().expect("edgectl runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let prometheus = format!("http://127.0.0.1:{nowhere}");
    let (code, error) = run(&["rollout", "status", "--phase=mirror", "--prometheus", &prometheus]);
    assert_eq!(code, Some(66), "{error}");
    assert!(error.contains(&format!("Prometheus at {prometheus}/: it cannot be reached")), "{error}");
    let upstream = e2e::Upstream::start();
    let other = format!("http://127.0.0.1:{}", upstream.port());
    let (code, error) = run(&["rollout", "status", "--phase=mirror", "--prometheus", &other]);
    assert_eq!(code, Some(66), "{error}");
    assert!(error.contains("it is no Prometheus"), "{error}");
}
