//! The admission webhook on the real API server, as the chart installs it.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use e2e::{Cluster, Kubectl, Output, OverridesSync, free_port, helm_template, repository, until};

const GOOD: &str = "overrides:\n  team-a: { ingestion_rate: 5 }\n";

/// A cluster with an overrides-sync that the API server asks.
struct Asked {
    cluster: Cluster,
    sync: OverridesSync,
    port: u16,
    tls: PathBuf,
}

impl Asked {
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
        let asked = Self { cluster, sync, port, tls };
        asked.install();
        // The API server reads webhooks a moment after it has them.
        until("the webhook is asked", || asked.denies());
        asked
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

    fn reviews(&self, answer: &str) -> f64 {
        self.sync.metric(&format!("overrides_sync_webhook_reviews_total{{answer=\"{answer}\"}}")).unwrap_or_default()
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
    let asked = Asked::start();
    let misspelt = asked.apply("mimir-runtime", "mimir", "overrides:\n  team-a:\n    ingestion_rte: 5");
    assert_eq!(misspelt.status, Some(1));
    let denial =
        "runtime.yaml:3: tenant team-a: field ingestion_rte is unknown to Mimir 3.1; did you mean ingestion_rate?";
    assert!(misspelt.stderr.contains(denial), "{}", misspelt.stderr);
    let mimirs = "Mimir says: load file: yaml: unmarshal errors: line 3: field ingestion_rte not found in type validation.plainLimits";
    assert!(misspelt.stderr.contains(mimirs), "{}", misspelt.stderr);

    let unmatched = asked.apply("mimir-runtime", "mimir", "overrides:\n  team/a:\n    ingestion_rate: 5");
    assert_eq!(unmatched.status, Some(0), "{}", unmatched.stderr);
    let warning = "runtime.yaml:2: tenant team/a: no push is ever of this tenant";
    assert!(unmatched.stderr.contains(&format!("Warning: {warning}")), "{}", unmatched.stderr);

    let impossible = asked.apply("mimir-runtime", "mimir", "overrides:\n  team-a:\n    ingestion_rate: fast");
    assert_eq!(impossible.status, Some(1));
    let denial = "admission webhook \"overrides-sync.mimir-edge.internal\" denied the request: \
                  runtime.yaml:3: tenant team-a: field ingestion_rate is \"fast\"";
    assert!(impossible.stderr.contains(denial), "{}", impossible.stderr);

    let good = asked.apply("mimir-runtime", "mimir", GOOD);
    assert_eq!((good.status, good.stderr.contains("Warning: runtime.yaml")), (Some(0), false), "{}", good.stderr);
    let emptied = asked.apply("mimir-runtime", "mimir", "overrides: {}");
    assert!(emptied.stderr.contains("Warning: there is no tenant any more"), "{}", emptied.stderr);
}

#[test]
fn other_configmaps_are_not_reviewed() {
    let asked = Asked::start();
    let before = ["allowed", "warned", "denied", "passed"].map(|answer| asked.reviews(answer));
    for (name, namespace) in [("mimir-config", "mimir"), ("mimir-runtime", "default")] {
        let other = asked.apply(name, namespace, "overrides: {team-a: {ingestion_rate: fast}}");
        assert_eq!((other.status, other.stderr.as_str()), (Some(0), ""), "{name} {namespace}");
    }
    asked.kubectl().ok(&["label", "configmap", "mimir-config", "--namespace=mimir", "a=b"]);
    asked.kubectl().ok(&["delete", "configmap", "mimir-runtime", "--namespace=mimir"]);
    let after = ["allowed", "warned", "denied", "passed"].map(|answer| asked.reviews(answer));
    assert_eq!(before, after, "it is not even asked");
}

#[test]
fn a_change_is_accepted_while_the_webhook_is_down() {
    let mut asked = Asked::start();
    asked.sync.process.kill();
    let unjudged = asked.apply("mimir-runtime", "mimir", "overrides: {team-a: {ingestion_rate: fast}}");
    assert_eq!(unjudged.status, Some(0), "{}", unjudged.stderr);
}

#[test]
fn a_renewed_certificate_is_used_and_a_bad_one_ignored() {
    let asked = Asked::start();
    fs::write(asked.tls.join("tls.key"), "no key").expect("a file can be written");
    let bad = || asked.sync.metric("overrides_sync_webhook_bad_certificates_total");
    until("the bad key is seen", || bad() == Some(1.0));
    assert!(asked.denies(), "the last good certificate stays");
    renew(&asked.tls);
    asked.install();
    until("the API server trusts the new certificate", || asked.denies());
    assert_eq!(bad(), Some(1.0));
}
