//! The verdicts of a run as one object, in JSON or YAML.

use std::io::{self, Write};

use limits::{Problem, RelabelRule, TenantLimits};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::verdict::{Outcome, Verdict};
use crate::yaml;

/// All verdicts as one JSON object and a newline.
pub(super) fn write_json(
    verdicts: &[Verdict],
    defaults: Option<&TenantLimits>,
    out: &mut impl Write,
) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &RunJson::new(verdicts, defaults))?;
    writeln!(out)
}

/// The same as a YAML document.
pub(super) fn write_yaml(
    verdicts: &[Verdict],
    defaults: Option<&TenantLimits>,
    out: &mut impl Write,
) -> io::Result<()> {
    let value = serde_json::to_value(RunJson::new(verdicts, defaults))?;
    out.write_all(yaml::block(&value, 0).as_bytes())
}

#[derive(Serialize)]
struct RunJson<'v> {
    problems: usize,
    /// Only with `--show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_limits: Option<Value>,
    files: Vec<FileJson<'v>>,
}

impl<'v> RunJson<'v> {
    /// Has the limits of tenants if there are `defaults`.
    fn new(verdicts: &'v [Verdict], defaults: Option<&TenantLimits>) -> Self {
        Self {
            problems: verdicts.iter().map(|verdict| verdict.problems.len()).sum(),
            default_limits: defaults.map(fields),
            files: verdicts.iter().map(|verdict| FileJson::new(verdict, defaults.is_some())).collect(),
        }
    }
}

#[derive(Serialize)]
struct FileJson<'v> {
    file: &'v str,
    outcome: &'static str,
    /// Only of accepted overrides, and of a Mimir.
    tenants: Option<usize>,
    /// Only of a file that can't be read.
    error: Option<&'v str>,
    problems: Vec<ProblemJson<'v>>,
    /// Only of accepted overrides, with `--show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Value>,
}

#[derive(Serialize)]
struct ProblemJson<'v> {
    document: &'v str,
    line: Option<u64>,
    code: &'static str,
    kind: &'static str,
    severity: &'static str,
    tenant: Option<&'v str>,
    field: Option<&'v str>,
    message: &'v str,
    /// Mimir's error.
    mimir: Option<&'v str>,
}

impl<'v> FileJson<'v> {
    fn new(verdict: &'v Verdict, show: bool) -> Self {
        let (outcome, tenants, error) = match &verdict.outcome {
            Outcome::Accepted { tenants, .. } => ("accepted", Some(*tenants), None),
            Outcome::Rejected => ("rejected", None, None),
            Outcome::Defaults => ("defaults", None, None),
            Outcome::DefaultsRejected => ("defaults_rejected", None, None),
            Outcome::Compared { tenants } => ("compared", Some(*tenants), None),
            Outcome::Unreadable(error) => ("unreadable", None, Some(error.as_str())),
        };
        let limits = match &verdict.outcome {
            Outcome::Accepted { limits: all, .. } if show => Some(limits(all)),
            _ => None,
        };
        let problems = verdict.problems.iter().map(ProblemJson::new).collect();
        Self { file: &verdict.file, outcome, tenants, error, problems, limits }
    }
}

impl<'v> ProblemJson<'v> {
    fn new(problem: &'v Problem) -> Self {
        Self {
            document: &problem.document,
            line: problem.line,
            code: problem.code.id(),
            kind: problem.code.name(),
            severity: problem.severity.as_str(),
            tenant: problem.tenant.as_deref(),
            field: problem.field.as_deref(),
            message: &problem.message,
            mimir: problem.mimir.as_deref(),
        }
    }
}

/// The limits of every key.
pub(super) fn limits(all: &[(String, TenantLimits)]) -> Value {
    all.iter().map(|(key, limits)| (key.clone(), fields(limits))).collect::<Map<_, _>>().into()
}

/// Every field that the edge reads, with its value.
pub(crate) fn fields(limits: &TenantLimits) -> Value {
    let value = |field: &'static str, text: String| match field {
        "metric_relabel_configs" => limits.metric_relabel_configs.iter().map(rule).collect(),
        _ => parse_value(text),
    };
    limits.fields().map(|(field, text)| (field.to_owned(), value(field, text))).collect::<Map<_, _>>().into()
}

/// A value from [`TenantLimits::fields`], which is JSON except for infinities, NaN and unquoted texts.
fn parse_value(text: String) -> Value {
    match text.as_str() {
        ".inf" => "+Inf".into(),
        "-.inf" => "-Inf".into(),
        ".nan" => "NaN".into(),
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

fn rule(rule: &RelabelRule) -> Value {
    let RelabelRule { source_labels, separator, target_label, regex, modulus, replacement, action } = rule;
    let labels: Vec<&str> = source_labels.iter().map(AsRef::as_ref).collect();
    json!({
        "source_labels": labels,
        "separator": &**separator,
        "target_label": &**target_label,
        "regex": &**regex,
        "modulus": modulus,
        "replacement": &**replacement,
        "action": action.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json() {
        for (text, expected) in [
            ("500", json!(500)),
            ("0.5", json!(0.5)),
            ("-3", json!(-3)),
            ("1.7976931348623157e308", json!(f64::MAX)),
            (".inf", json!("+Inf")),
            ("-.inf", json!("-Inf")),
            (".nan", json!("NaN")),
            ("true", json!(true)),
            ("10m", json!("10m")),
            ("0s", json!("0s")),
            ("legacy", json!("legacy")),
            ("\"clu\\\"ster\"", json!("clu\"ster")),
            ("[\"a\", \"b\"]", json!(["a", "b"])),
            ("[]", json!([])),
        ] {
            assert_eq!(parse_value(text.to_owned()), expected, "{text}");
        }
    }
}
