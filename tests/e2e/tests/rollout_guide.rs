//! The rollout guide's own commands, in its order, against the real API server: what they leave behind, and that Envoy takes it.
//!
//! `helm upgrade --set X` forgets what was set before. As written, the guide's upgrades therefore go back to the defaults, which have to be safe;
//! the runbooks use `--reset-then-reuse-values`, which keeps what was set.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::process::Command;

use e2e::{ADMIN, KubeApiServer, Kubectl, Output, helm_at, repository, tool};

const NAMESPACE: &str = "mimir-edge-enforcement";
const KEEP: &str = "--reset-then-reuse-values";
const RELEASES: [&str; 3] = ["mimir-rls", "overrides-sync", "mimir-envoy"];

/// The guide's installs, and what each release is then: its replicas, or those that an autoscaler may choose, and its image.
const INSTALLS: [(&str, &str); 3] = [
    (
        "helm install mimir-rls charts/mimir-rls/ --namespace mimir-edge-enforcement --set image.tag=v0.1.0 --set replicaCount=2 --set hpa.enabled=true",
        "2 to 10 of mimir-rls:v0.1.0",
    ),
    (
        "helm install overrides-sync charts/overrides-sync/ --namespace mimir-edge-enforcement --set image.tag=v0.1.0 --set mimir.namespace=mimir --set mimir.overridesConfigMap=mimir-overrides",
        "2 of overrides-sync:v0.1.0",
    ),
    (
        "helm install mimir-envoy charts/envoy/ --namespace mimir-edge-enforcement --set image.tag=v0.1.0 --set replicaCount=2 --set hpa.enabled=true",
        "2 to 10 of mimir-envoy:v0.1.0",
    ),
];

/// What follows: each command, and what its release is then, as written and where values are kept.
const UPGRADES: [(&str, &str, &str); 5] = [
    (
        "helm upgrade mimir-rls charts/mimir-rls/ --namespace mimir-edge-enforcement --set replicaCount=3 --set hpa.maxReplicas=10",
        "3 of mimir-rls:v0.1.0",
        "3 to 10 of mimir-rls:v0.1.0",
    ),
    (
        "helm upgrade mimir-envoy charts/envoy/ --namespace mimir-edge-enforcement --set replicaCount=3 --set hpa.maxReplicas=10",
        "3 of mimir-envoy:v0.1.0",
        "3 to 10 of mimir-envoy:v0.1.0",
    ),
    (
        "helm upgrade mimir-rls charts/mimir-rls/ --namespace mimir-edge-enforcement --set limits.enforceBodyParsing=true",
        "2 of mimir-rls:v0.1.0",
        "3 to 10 of mimir-rls:v0.1.0",
    ),
    (
        "helm upgrade mimir-envoy charts/envoy/ --namespace mimir-edge-enforcement --set extAuthz.failureModeAllow=false --set rateLimit.failureModeDeny=true",
        "2 of mimir-envoy:v0.1.0",
        "3 to 10 of mimir-envoy:v0.1.0",
    ),
    (
        "helm upgrade mimir-rls charts/mimir-rls/ --namespace mimir-edge-enforcement --set image.tag=v0.2.0",
        "2 of mimir-rls:v0.2.0",
        "3 to 10 of mimir-rls:v0.2.0",
    ),
];

/// An operator who follows the guide.
struct Operator {
    server: KubeApiServer,
    kubectl: Kubectl,
    /// A flag that is added to each `helm upgrade`.
    upgrade_with: Option<&'static str>,
}

impl Operator {
    /// With a cluster where Mimir has its namespace.
    fn new(upgrade_with: Option<&'static str>) -> Self {
        let server = KubeApiServer::start(&[]);
        server.namespace("mimir");
        let kubectl = Kubectl::new(&server, ADMIN);
        drop(kubectl.shell("kubectl create namespace mimir-edge-enforcement").ok());
        kubectl.ok(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/warn=restricted"]);
        Self { server, kubectl, upgrade_with }
    }

    /// Types a command of helm's, which the API server has nothing to say against.
    #[track_caller]
    fn helm(&self, command: &str) -> String {
        let words =
            command.split_whitespace().skip(1).chain(self.upgrade_with.filter(|_| command.contains(" upgrade ")));
        let output = helm_at(&self.server, ADMIN, &words.collect::<Vec<_>>());
        assert_eq!(output.stderr, "", "{command}");
        output.ok()
    }

    /// What a release is now.
    fn state(&self, release: &str) -> String {
        let get = |what: &str, path: &str| {
            let command =
                format!("kubectl get {what} {release} -n {NAMESPACE} --ignore-not-found --output=jsonpath='{path}'");
            self.kubectl.shell(&command).ok()
        };
        let scaled = get("hpa", "{.spec.minReplicas} to {.spec.maxReplicas}");
        let replicas = if scaled.is_empty() { get("deployment", "{.spec.replicas}") } else { scaled };
        format!("{replicas} of {}", get("deployment", "{.spec.template.spec.containers[0].image}"))
    }

    /// The states of all of them, and Envoy's configuration.
    fn states(&self) -> ([String; 3], String) {
        (RELEASES.map(|release| self.state(release)), self.envoy_configuration())
    }

    /// Types a command that concerns one release, which is then as expected; the others are what they were, and so is what Envoy runs with.
    #[track_caller]
    fn changes_only(&self, command: &str, expected: &str) {
        let changed = RELEASES.map(|release| command.contains(&format!(" {release} ")));
        let (before, envoy) = self.states();
        drop(self.helm(command));
        let (after, envoy_after) = self.states();
        for ((before, after), changed) in before.iter().zip(&after).zip(changed) {
            assert_eq!(after, if changed { expected } else { before }, "{command}");
        }
        assert!(envoy == envoy_after, "{command} changed Envoy's configuration");
    }

    fn envoy_configuration(&self) -> String {
        let command =
            format!("kubectl get configmap mimir-envoy -n {NAMESPACE} --output=jsonpath='{{.data.envoy\\.yaml}}'");
        self.kubectl.shell(&command).ok()
    }

    fn installs(&self) {
        for ((command, expected), release) in INSTALLS.iter().zip(RELEASES) {
            let notes = self.helm(command);
            assert!(notes.contains("ops/runbooks/rollout.md"), "{notes}");
            assert_eq!(self.state(release), *expected, "{command}");
        }
        drop(self.kubectl.shell("kubectl get pods -n mimir-edge-enforcement").ok());
        let watched = "kubectl get deployment overrides-sync -n mimir-edge-enforcement --output=jsonpath='{.spec.template.spec.containers[0].args[0]}'";
        assert_eq!(self.kubectl.shell(watched).ok(), "--limits=kube:mimir/mimir-overrides");
    }

    /// The guide, up to its last upgrade.
    fn follows_the_guide(&self) {
        self.installs();
        is_the_committed_one(&self.envoy_configuration());
        for (command, forgotten, kept) in UPGRADES {
            self.changes_only(command, if self.upgrade_with.is_some() { kept } else { forgotten });
        }
        let restarted =
            self.kubectl.shell("kubectl rollout restart deployment/mimir-rls -n mimir-edge-enforcement").ok();
        assert!(restarted.contains("deployment.apps/mimir-rls restarted"), "{restarted}");
    }

    fn autoscales(&self) -> Output {
        let autoscale = "kubectl autoscale deployment mimir-rls --namespace mimir-edge-enforcement --min=2 --max=10 --cpu-percent=80";
        self.kubectl.shell(autoscale)
    }
}

/// That Envoy takes this configuration, and that it is the one that `make run` and the end-to-end tests run, but for the addresses.
#[track_caller]
fn is_the_committed_one(configuration: &str) {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file can be made");
    fs::write(file.path(), configuration).expect("a file can be written");
    let validated = Command::new(tool("envoy"))
        .args(["--mode", "validate", "--log-level", "error", "--config-path"])
        .arg(file.path())
        .output()
        .expect("Envoy can be started");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));

    for safe in
        ["failure_mode_allow: false\n", "failure_mode_deny: true\n", "pack_as_bytes: true\n", "cluster: mimir\n"]
    {
        assert!(configuration.contains(safe), "{safe}: {configuration}");
    }
    let committed = fs::read_to_string(repository().join("ops/envoy/enforce.yaml")).expect("it is committed");
    let on_loopback = configuration
        .replace("mimir-distributor-headless.mimir.svc.cluster.local, port_value: 8080", "127.0.0.1, port_value: 9009")
        .replace("mimir-rls.mimir-edge-enforcement.svc.cluster.local", "127.0.0.1")
        .replace("address: \"0.0.0.0\",", "address: \"127.0.0.1\",");
    // `make run` has no kubelet.
    let (before, probes) =
        on_loopback.split_once("  # For the kubelet's probes,").expect("there is a listener for probes");
    let (_, after) = probes.split_once("  # For the preStop hook").expect("another one follows");
    let on_loopback = format!("{before}  # For the preStop hook{after}");
    for (ours, theirs) in committed.lines().zip(on_loopback.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(committed.trim_end(), on_loopback.trim_end());
}

#[test]
fn the_guide_as_written_leaves_safe_values() {
    let operator = Operator::new(None);
    operator.follows_the_guide();
    // Its upgrades have forgotten hpa.enabled, so no autoscaler exists yet.
    drop(operator.autoscales().ok());
    assert_eq!(operator.state("mimir-rls"), "2 to 10 of mimir-rls:v0.2.0");
    is_the_committed_one(&operator.envoy_configuration());
}

#[test]
fn the_guide_with_kept_values_leaves_what_was_set() {
    let operator = Operator::new(Some(KEEP));
    operator.follows_the_guide();
    let autoscaled = operator.autoscales();
    assert!(autoscaled.stderr.contains("\"mimir-rls\" already exists"), "the chart's does it: {}", autoscaled.stderr);
    assert_eq!(operator.state("mimir-rls"), "3 to 10 of mimir-rls:v0.2.0");
    is_the_committed_one(&operator.envoy_configuration());
}

#[test]
fn an_upgrade_forgets_values_unless_they_are_kept() {
    let operator = Operator::new(None);
    operator.installs();
    let upgrade = "helm upgrade mimir-envoy charts/envoy/ --namespace mimir-edge-enforcement";
    let fails_open = || operator.envoy_configuration().contains("failure_mode_allow: true\n");
    for (flags, open) in [
        ("--set extAuthz.failureModeAllow=true", true),
        ("--set replicaCount=3", false),
        ("--set extAuthz.failureModeAllow=true --set limits.enforceBodyParsing=false", true),
        ("--reset-then-reuse-values --set replicaCount=4", true),
        ("--reset-then-reuse-values --set extAuthz.failureModeAllow=false", false),
    ] {
        drop(operator.helm(&format!("{upgrade} {flags}")));
        assert_eq!(fails_open(), open, "{flags}");
    }
    // Without any --set helm keeps values too.
    drop(operator.helm(upgrade));
    assert!(operator.envoy_configuration().contains("body: withheld"), "a value of two upgrades before");
    drop(operator.helm(&format!("{upgrade} --reset-values")));
    is_the_committed_one(&operator.envoy_configuration());
}
