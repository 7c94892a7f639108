//! The cluster that is to get an edge.

use std::thread;

use serde_json::Value;

use super::finding::{Advice, Finding, Hop, Link};
use super::place::Place;
use super::words;
use crate::args::InstallationArgs;

const KUBECTL: &str = "kubectl runs";
const ANSWERS: &str = "the API server answers";
const VERSION: &str = "its version is supported";
const MAY_INSTALL: &str = "you may install the charts";
const MAY_READ: &str = "you may let overrides-sync read the ConfigMap";
const OPERATOR: &str = "it is known whether Prometheus' operator is there";

/// The namespace of the docs.
const NAMESPACE: &str = "mimir-edge-enforcement";

/// The oldest minor version of Kubernetes 1 that the charts take, as their `kubeVersion`.
const OLDEST_MINOR: u64 = 24;

/// What the charts create in their namespace; Helm keeps releases in Secrets.
const OF_CHARTS: [&str; 7] = [
    "deployments.apps",
    "services",
    "configmaps",
    "secrets",
    "serviceaccounts",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
];
/// What charts/overrides-sync creates in Mimir's namespace.
const OF_MIMIR: [&str; 2] = ["roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"];

pub(super) fn kubernetes(args: &InstallationArgs, place: &Place) -> Vec<Finding> {
    let hop = Hop::Kubernetes;
    let output = match args.api.cluster.run_kubectl(&["version", "--output", "json"], args.api.timeout) {
        Ok(output) => output,
        Err(error) => {
            let advice = Advice::hint("install kubectl", Link::Install);
            return vec![Finding::failure(hop, KUBECTL, error.to_string(), advice)];
        }
    };
    let versions: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let version = |of: &str| versions.pointer(&format!("/{of}/gitVersion")).and_then(Value::as_str).map(str::to_owned);
    let mut findings = vec![Finding::ok(hop, KUBECTL, version("clientVersion").unwrap_or_default())];
    let Some(server) = version("serverVersion") else {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let advice = Advice::new(
            "choose a context with --context, and log in",
            "kubectl config get-contexts".to_owned(),
            Link::Install,
        );
        findings.push(Finding::failure(hop, ANSWERS, why, advice));
        return findings;
    };
    findings.push(Finding::ok(hop, ANSWERS, ""));
    findings.push(supported(&server));
    findings.push(may(
        args,
        place,
        MAY_INSTALL,
        args.api.cluster.namespace.as_deref().unwrap_or(NAMESPACE),
        &OF_CHARTS,
    ));
    if let Some(config_map) = &args.configmap {
        findings.push(may(args, place, MAY_READ, &config_map.namespace, &OF_MIMIR));
    }
    findings.push(operator(args));
    findings
}

fn supported(version: &str) -> Finding {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u64>().ok());
    let (major, minor) = (number(parts.next()), number(parts.next()));
    if major > Some(1) || (major == Some(1) && minor >= Some(OLDEST_MINOR)) {
        return Finding::ok(Hop::Kubernetes, VERSION, version);
    }
    let detail = format!("{version}: the charts need Kubernetes 1.{OLDEST_MINOR} or newer");
    Finding::failure(Hop::Kubernetes, VERSION, detail, Advice::hint("upgrade the cluster", Link::Versions))
}

/// Asks whether each of these may be created, all at the same time.
fn may(args: &InstallationArgs, place: &Place, check: &'static str, namespace: &str, resources: &[&str]) -> Finding {
    let ask = |resource: &str| {
        let arguments = ["auth", "can-i", "create", resource, "--namespace", namespace];
        let output = args.api.cluster.run_kubectl(&arguments, args.api.timeout);
        output.is_ok_and(|output| output.status.success())
    };
    let denied: Vec<String> = thread::scope(|scope| {
        let asked: Vec<_> = resources.iter().map(|resource| (resource, scope.spawn(move || ask(resource)))).collect();
        let denied =
            asked.into_iter().filter_map(|(resource, may)| (!may.join().unwrap_or_default()).then_some(resource));
        denied.map(|resource| format!("you may not create {resource} in namespace {namespace}")).collect()
    });
    match &denied[..] {
        [] => Finding::ok(Hop::Kubernetes, check, format!("in namespace {namespace}")),
        denied => {
            let hint = "ask an administrator for a role that may, or to install the charts";
            let command = place.kubectl_in("auth can-i --list", namespace);
            Finding::failure(Hop::Kubernetes, check, words::list(denied), Advice::new(hint, command, Link::Install))
        }
    }
}

/// The charts install a ServiceMonitor and a PrometheusRule if the cluster has these kinds.
fn operator(args: &InstallationArgs) -> Finding {
    let kinds = ["servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com"];
    let arguments =
        [&["get", "customresourcedefinitions", "--ignore-not-found", "--output", "name"], &kinds[..]].concat();
    match args.api.cluster.kubectl_prints(&arguments, args.api.timeout) {
        Ok(found) if found.is_empty() => Finding::ok(
            Hop::Kubernetes,
            OPERATOR,
            "it is not: the charts install no ServiceMonitor and no PrometheusRule",
        ),
        Ok(_) => {
            Finding::ok(Hop::Kubernetes, OPERATOR, "it is: the charts install ServiceMonitors and PrometheusRules")
        }
        Err(error) => Finding::skipped(Hop::Kubernetes, OPERATOR, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::finding::Status;

    #[test]
    fn old_versions_are_not_supported() {
        for (version, status) in [
            ("v1.24.0", Status::Ok),
            ("v1.36.3", Status::Ok),
            ("v1.29.1-gke.100", Status::Ok),
            ("v1.28+", Status::Ok),
            ("v2.0.0", Status::Ok),
            ("v1.23.17", Status::Failure),
            ("", Status::Failure),
        ] {
            assert_eq!(supported(version).status, status, "{version}");
        }
    }
}
