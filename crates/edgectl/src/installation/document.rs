//! The overrides document: whether it is found, accepted, and that of Mimir.

use limits::Severity;
use limits_source::{ConfigMapData, ConfigMapSelector, ConfigMapSpec};

use super::finding::{Advice, Finding, Hop, Link, Status};
use super::place::Place;
use super::server::ProblemRow;
use super::{Known, Seen, edge_limits, mimir, words};
use crate::args::InstallationArgs;
use crate::check::one_line;
use crate::edge_api::EdgeError;
use crate::output::counted;

const FOUND: &str = "the ConfigMap is found";
const ACCEPTED: &str = "the ConfigMap is accepted";
const PROBLEMS: &str = "the programs accept it";
const SAME: &str = "Mimir has the same limits";

pub(super) async fn findings(seen: &Seen<'_>, known: &Known) -> Vec<Finding> {
    let (mut findings, spec) = of_config_map(seen.args, &seen.place, seen.mimir.as_ref(), known);
    findings.push(problems(seen, spec.as_ref()));
    findings.push(same(seen).await);
    findings
}

/// The ConfigMap of the flag, or that of overrides-sync in the cluster.
pub(super) fn of_config_map(
    args: &InstallationArgs,
    place: &Place,
    mimir: Option<&mimir::Seen>,
    known: &Known,
) -> (Vec<Finding>, Option<ConfigMapSpec>) {
    let of_cluster = || {
        let limits = args.api.are_pods().then(|| args.api.cluster.limits_of_overrides_sync(args.api.timeout))??;
        limits.strip_prefix("kube:")?.parse().ok()
    };
    let Some(spec) = args.configmap.clone().or_else(of_cluster) else {
        return (vec![Finding::skipped(Hop::Document, FOUND, "give --configmap NAMESPACE/NAME")], None);
    };
    let findings = match read(args, &spec) {
        Ok(data) => {
            let edit = edit(place, Some(&spec));
            vec![Finding::ok(Hop::Document, FOUND, spec.to_string()), accepted(&spec, &data, mimir, known, edit)]
        }
        Err(error) => {
            let hint = "name the ConfigMap that Mimir mounts, and give overrides-sync the permission to read it";
            let command = place.kubectl_in("get configmaps", &spec.namespace);
            let advice = Advice::new(hint, command, Link::Permissions);
            vec![Finding::failure(Hop::Document, FOUND, format!("{spec}: {error}"), advice)]
        }
    };
    (findings, Some(spec))
}

fn read(args: &InstallationArgs, spec: &ConfigMapSpec) -> Result<ConfigMapData, EdgeError> {
    let label = match &spec.selector {
        ConfigMapSelector::Name(_) => None,
        ConfigMapSelector::Label { key, value } => Some(format!("{key}={value}")),
    };
    let what = match (&spec.selector, &label) {
        (ConfigMapSelector::Name(name), _) => vec!["configmap", name.as_str()],
        (_, label) => vec!["configmaps", "--selector", label.as_deref().unwrap_or_default()],
    };
    let arguments = [&["get"], &what[..], &["--namespace", &spec.namespace, "--output", "json"]].concat();
    let object = args.api.cluster.kubectl_prints(&arguments, args.api.timeout)?;
    ConfigMapData::from_json(&object).map_err(EdgeError::Unavailable)
}

/// As `edgectl check FILE` judges it.
fn accepted(
    spec: &ConfigMapSpec,
    data: &ConfigMapData,
    mimir: Option<&mimir::Seen>,
    known: &Known,
    edit: Advice,
) -> Finding {
    let running = mimir.and_then(|mimir| mimir.running.as_ref().ok());
    let defaults = known.defaults.as_ref().or_else(|| Some(&running?.defaults)).cloned().unwrap_or_default();
    let version = known.version.clone().or_else(|| running?.version.clone()).unwrap_or_default();
    let selected = spec.select_keys(data);
    let checked = limits::check(&defaults.defaults, &version, &selected.documents);
    let problems: Vec<_> = selected.problems.iter().chain(&checked.problems).collect();
    let lines: Vec<_> = problems.iter().map(|problem| one_line(problem)).collect();
    let tenants = counted(checked.tenants as u64, "tenant");
    let is_broken = problems.iter().any(|problem| problem.severity != Severity::Ignored);
    match (&lines[..], is_broken) {
        ([], _) => Finding::ok(Hop::Document, ACCEPTED, tenants),
        (lines, true) => Finding::failure(Hop::Document, ACCEPTED, words::list(lines), edit),
        (lines, false) => Finding::warning(Hop::Document, ACCEPTED, words::list(lines), edit),
    }
}

fn edit(place: &Place, spec: Option<&ConfigMapSpec>) -> Advice {
    let command = match spec.and_then(|spec| Some((spec.name()?, &spec.namespace))) {
        Some((name, namespace)) => place.kubectl_in(&format!("edit configmap {name}"), namespace),
        None => "edgectl check runtime.yaml".to_owned(),
    };
    Advice::new(
        "correct the lines that it names; until then the last good limits stay in force",
        command,
        Link::LimitsRejected,
    )
}

/// The problems that overrides-sync and mimir-rls have with what they read.
fn problems(seen: &Seen<'_>, spec: Option<&ConfigMapSpec>) -> Finding {
    let servers = || seen.sync.servers.iter().chain(&seen.rls.servers);
    let pages: Vec<&Vec<ProblemRow>> = servers().filter_map(|server| server.problems.as_ref().ok()).collect();
    if pages.is_empty() {
        let why = servers().find_map(|server| server.metrics.is_ok().then(|| server.problems.as_ref().err()).flatten());
        let why = why
            .map_or_else(|| "no program says what it reads".to_owned(), |why| format!("{why}; give --token-file FILE"));
        return Finding::skipped(Hop::Document, PROBLEMS, why);
    }
    let mut worst = Status::Ok;
    let mut lines: Vec<String> = Vec::new();
    for row in pages.into_iter().flatten() {
        worst = worst.max(if row.severity == Severity::Ignored.as_str() { Status::Warning } else { Status::Failure });
        let line = row.line();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    match worst {
        Status::Failure => Finding::failure(Hop::Document, PROBLEMS, words::list(&lines), edit(&seen.place, spec)),
        Status::Warning => Finding::warning(Hop::Document, PROBLEMS, words::list(&lines), edit(&seen.place, spec)),
        Status::Ok | Status::Skipped => Finding::ok(Hop::Document, PROBLEMS, ""),
    }
}

/// Whether the limits that mimir-rls has in force are those of the running Mimir.
async fn same(seen: &Seen<'_>) -> Finding {
    let Some(mimir) = &seen.mimir else {
        return Finding::skipped(Hop::Document, SAME, "give --mimir URL, or MIMIR_ADDRESS");
    };
    let running = match &mimir.running {
        Ok(running) => running,
        Err(why) => return Finding::skipped(Hop::Document, SAME, why.clone()),
    };
    match edge_limits::of_all(seen.rls.found.replicas(), running).await {
        Ok((detail, lines)) if lines.is_empty() => Finding::ok(Hop::Document, SAME, detail),
        Ok((_, lines)) => {
            let hint = "let both read the same document; Mimir reads a changed ConfigMap up to two minutes later, and \
                        mimir-rls reads Mimir's default limits when it starts";
            // No restart: it empties no difference of two documents, and fills all buckets.
            Finding::failure(Hop::Document, SAME, words::list(&lines), Advice::hint(hint, Link::CompareWithMimir))
        }
        Err(why) => Finding::skipped(Hop::Document, SAME, why),
    }
}
