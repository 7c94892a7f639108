//! The real helm, which renders charts and installs them.

use std::path::Path;
use std::process::Command;

use crate::kube_apiserver::KubeApiServer;
use crate::output::Output;
use crate::programs::{repository, tool};

/// Runs helm at the root of the repository, with nothing of the user's configuration.
///
/// # Panics
/// When it is not installed.
#[must_use]
#[track_caller]
pub fn helm(arguments: &[&str]) -> Output {
    run(arguments, None)
}

/// The same as the user of this token at an API server.
///
/// # Panics
/// When it is not installed.
#[must_use]
#[track_caller]
pub fn helm_at(server: &KubeApiServer, token: &str, arguments: &[&str]) -> Output {
    run(arguments, Some(&server.kubeconfig(token)))
}

#[track_caller]
fn run(arguments: &[&str], kubeconfig: Option<&Path>) -> Output {
    let home = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new(tool("helm"));
    command.args(arguments).current_dir(repository()).env("HOME", home.path()).env_remove("KUBECONFIG");
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.path());
    }
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    Output::of(&mut command, "")
}

/// The manifests that a chart renders; a value is set as by `--set`.
///
/// # Panics
/// When it does not render.
#[must_use]
#[track_caller]
pub fn helm_template(chart: &Path, release: &str, namespace: &str, values: &[(&str, &str)]) -> String {
    let chart = chart.to_str().expect("a chart's path is text");
    let set: Vec<String> = values.iter().map(|(name, value)| format!("--set={name}={value}")).collect();
    let mut arguments = vec!["template", release, chart, "--namespace", namespace];
    arguments.extend(set.iter().map(String::as_str));
    helm(&arguments).ok()
}

/// The Envoy configuration that `charts/envoy` renders on loopback, as the committed ones are rendered, with more values.
///
/// # Panics
/// When it does not render.
#[must_use]
#[track_caller]
pub fn envoy_bootstrap(values: &[(&str, &str)]) -> String {
    let chart = repository().join("charts/envoy");
    let file = format!("--values={}", repository().join("ops/envoy/values.yaml").display());
    let set: Vec<String> = values.iter().map(|(name, value)| format!("--set={name}={value}")).collect();
    let mut arguments = vec!["template", "mimir-envoy", chart.to_str().expect("a chart's path is text"), &file];
    arguments.extend(["--show-only", "templates/configmap.yaml"]);
    arguments.extend(set.iter().map(String::as_str));
    block_of(&helm(&arguments).ok(), "envoy.yaml")
}

/// The text of a key of a ConfigMap's manifest, where it is the last one.
#[track_caller]
fn block_of(manifest: &str, key: &str) -> String {
    let (_, block) = manifest.split_once(&format!("\n  {key}: |\n")).expect("the manifest has the key");
    block.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}
