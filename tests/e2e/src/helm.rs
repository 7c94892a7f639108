//! The real helm, which renders charts and installs them.

use std::collections::BTreeMap;
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
    envoy_files(values).remove(BOOTSTRAP).expect("the chart renders a bootstrap")
}

/// The name of the bootstrap in [`envoy_files`].
pub(crate) const BOOTSTRAP: &str = "envoy.yaml";

/// The same with the files that it names, by their names.
#[track_caller]
pub(crate) fn envoy_files(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let chart = repository().join("charts/envoy");
    let file = format!("--values={}", repository().join("ops/envoy/values.yaml").display());
    let set: Vec<String> = values.iter().map(|(name, value)| format!("--set={name}={value}")).collect();
    let mut arguments = vec!["template", "mimir-envoy", chart.to_str().expect("a chart's path is text"), &file];
    arguments.extend(["--show-only", "templates/configmap.yaml"]);
    arguments.extend(set.iter().map(String::as_str));
    data_of(&helm(&arguments).ok())
}

/// The data of a ConfigMap's manifest, where each text is a block.
fn data_of(manifest: &str) -> BTreeMap<String, String> {
    let (_, data) = manifest.split_once("\ndata:\n").expect("a ConfigMap has data");
    let mut texts = BTreeMap::new();
    let mut name = None;
    for line in data.lines() {
        if let Some(key) =
            line.strip_prefix("  ").and_then(|line| line.strip_suffix(": |")).filter(|key| !key.starts_with(' '))
        {
            name = Some(key);
        } else if let Some(name) = name {
            let text: &mut String = texts.entry(name.to_owned()).or_default();
            text.push_str(line.strip_prefix("    ").unwrap_or(line));
            text.push('\n');
        }
    }
    texts
}
