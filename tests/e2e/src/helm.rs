//! The real helm, which renders charts.

use std::path::Path;
use std::process::Command;

use crate::output::Output;
use crate::programs::tool;

/// Runs helm with nothing of the user's configuration.
///
/// # Panics
/// When it is not installed.
#[must_use]
#[track_caller]
pub fn helm(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new(tool("helm"));
    command.args(arguments).env("HOME", home.path()).env_remove("KUBECONFIG");
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.path());
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
