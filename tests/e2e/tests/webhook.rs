//! The admission webhook on the real API server, as the chart installs it.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use e2e::{Cluster, Kubectl, Output, OverridesSync, free_port, helm_template, repository, until};

const GOOD: &str = "overrides:\n  team-a: { ingestion_rate: 5 }\n";

/// A cluster whose API server calls the webhook of an overrides-sync.
struct Setup {
    cluster: Cluster,
    sync: OverridesSync,
    port: u16,
    tls: PathBuf,
}

impl Setup {
    fn start() -> Self {
        let cluster = Cluster::start(GOOD);
        let (port, tls) = (free_port(), cluster.server.folder().join("webhook-tls"));
        fs::create_dir(&tls).expect("a folder can be made");
        renew(&tls);
        let arguments = [
            format!("--webhook-listen=127.0.0.1:{port}"),
            format!("--webhook-tls-cert={}", tls.join("tls.crt").display()),
            format!("--webhook-tls-key={}", tls.join("tls.key").display()),
        ];
        let sync = cluster.sync("sync", &arguments.each_ref().map(String::as_str));
        let setup = Self { cluster, sync, port, tls };
        setup.install();
        // The API server reads webhooks a moment after it has them.
        until("the webhook is called", || setup.denies());
        setup
    }

    /// Installs the chart's webhook with the certificate that is in force.
    fn install(&self) {
        let authority = self.tls.join("tls.crt");
        let url = format!("https://127.0.0.1:{}/validate", self.port);
        let chart = repository().join("charts/overrides-sync");
        let authority = fs::read_to_string(authority).expect("the certificate can be read");
        let values = [("webhook.enabled", "true"), ("webhook.url", &url), ("webhook.caBundle", &authority)];
        let manifests = helm_template(&chart, "overrides-sync", "edge", &values);
        let webhook =
            manifests.split("---\n").find(|manifest| manifest.contains("kind: ValidatingWebhookConfiguration"));
        drop(self.kubectl().apply(webhook.expect("the chart has a webhook")).ok());
    }

    fn kubectl(&self) -> Kubectl {
        self.cluster.kubectl()
    }

    fn apply(&self, name: &str, namespace: &str, document: &str) -> Output {
        self.kubectl().apply(&configmap(name, namespace, document))
    }

    /// Whether a bad change would be denied. It is not made even if it is not.
    fn denies(&self) -> bool {
        let change = configmap("mimir-runtime", "mimir", "overrides: 5");
        self.kubectl().run_with(&["apply", "--dry-run=server", "-f", "-"], &change).status == Some(1)
    }

    fn reviews(&self, outcome: &str) -> f64 {
        self.sync.metric(&format!("overrides_sync_webhook_reviews_total{{outcome=\"{outcome}\"}}")).unwrap_or_default()
    }
}

fn configmap(name: &str, namespace: &str, document: &str) -> String {
    let document = document.replace('\n', "\n    ");
    let metadata = format!("metadata: {{ name: {name}, namespace: {namespace} }}");
    format!("apiVersion: v1\nkind: ConfigMap\n{metadata}\ndata:\n  runtime.yaml: |\n    {document}\n")
}

/// Writes a new certificate and its key.
fn renew(folder: &std::path::Path) {
    let names = ["127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    fs::write(folder.join("tls.crt"), made.cert.pem()).expect("a certificate can be written");
    fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).expect("a key can be written");
}

#[test]
fn kubectl_shows_line_and_reason_of_a_denied_change() {
    let setup = Setup::start();
    let misspelt = setup.apply("mimir-runtime", "mimir", "overrides:\n  team-a:\n    ingestion_rte: 5");
    assert_eq!(misspelt.status, Some(1));
    let denial =
        "runtime.yaml:3: tenant team-a: field ingestion_rte is unknown to Mimir 3.1; did you mean ingestion_rate?";
    assert!(misspelt.stderr.contains(denial), "{}", misspelt.stderr);
    let mimirs = "Mimir says: load file: yaml: unmarshal errors: line 3: field ingestion_rte not found in type validation.plainLimits";
    assert!(misspelt.stderr.contains(mimirs), "{}", misspelt.stderr);

    let unmatched = setup.apply("mimir-runtime", "mimir", "overrides:\n  team/a:\n    ingestion_rate: 5");
    assert_eq!(unmatched.status, Some(0), "{}", unmatched.stderr);
    let warning = "runtime.yaml:2: tenant team/a: no push is ever of this tenant";
    assert!(unmatched.stderr.contains(&format!("Warning: {warning}")), "{}", unmatched.stderr);

    let impossible = setup.apply("mimir-runtime", "mimir", "overrides:\n  team-a:\n    ingestion_rate: fast");
    assert_eq!(impossible.status, Some(1));
    let denial = "admission webhook \"overrides-sync.mimir-edge.internal\" denied the request: \
                  runtime.yaml:3: tenant team-a: field ingestion_rate is \"fast\"";
    assert!(impossible.stderr.contains(denial), "{}", impossible.stderr);

    let good = setup.apply("mimir-runtime", "mimir", GOOD);
    assert_eq!((good.status, good.stderr.contains("Warning: runtime.yaml")), (Some(0), false), "{}", good.stderr);
    let emptied = setup.apply("mimir-runtime", "mimir", "overrides: {}");
    assert!(emptied.stderr.contains("Warning: there is no tenant any more"), "{}", emptied.stderr);
}

#[test]
fn other_configmaps_are_not_reviewed() {
    let setup = Setup::start();
    let before = ["allowed", "warned", "denied", "passed"].map(|answer| setup.reviews(answer));
    for (name, namespace) in [("mimir-config", "mimir"), ("mimir-runtime", "default")] {
        let other = setup.apply(name, namespace, "overrides: {team-a: {ingestion_rate: fast}}");
        assert_eq!((other.status, other.stderr.as_str()), (Some(0), ""), "{name} {namespace}");
    }
    setup.kubectl().ok(&["label", "configmap", "mimir-config", "--namespace=mimir", "a=b"]);
    setup.kubectl().ok(&["delete", "configmap", "mimir-runtime", "--namespace=mimir"]);
    let after = ["allowed", "warned", "denied", "passed"].map(|answer| setup.reviews(answer));
    assert_eq!(before, after, "the webhook is not even called");
}

#[test]
fn a_change_is_accepted_while_the_webhook_is_down() {
    let mut setup = Setup::start();
    setup.sync.process.kill();
    let not_reviewed = setup.apply("mimir-runtime", "mimir", "overrides: {team-a: {ingestion_rate: fast}}");
    assert_eq!(not_reviewed.status, Some(0), "{}", not_reviewed.stderr);
}

#[test]
fn a_renewed_certificate_is_used_and_a_bad_one_ignored() {
    let setup = Setup::start();
    fs::write(setup.tls.join("tls.key"), "no key").expect("a file can be written");
    let bad = || setup.sync.metric(r#"overrides_sync_bad_tls_files_total{of="webhook_tls"}"#);
    until("the bad key is seen", || bad() == Some(1.0));
    assert!(setup.denies(), "the last good certificate stays");
    renew(&setup.tls);
    setup.install();
    until("the API server trusts the new certificate", || setup.denies());
    assert_eq!(bad(), Some(1.0));
}
