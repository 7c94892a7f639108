//! `edgectl diff`: which limits of which tenants differ between two overrides documents.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::ExitCode;

use anyhow::Context;
use limits::TenantLimits;
use serde::Serialize;
use serde_json::Value;

use crate::args::DiffArgs;
use crate::check::{Outcome, Verdict, check_file, default_limits, limits_json};
use crate::output::{Table, counted};
use crate::{exit, output};

/// Prints the differences.
pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let version = args.mimir_version.clone().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    let (defaults, verdict) = runtime.block_on(default_limits(&args.defaults, &version));
    let files = defaults.as_ref().map(|known| [&args.old, &args.new].map(|file| check_file(file, known, &version)));
    let verdicts: Vec<_> = verdict.iter().chain(files.iter().flatten()).collect();
    let mut with_problems = verdicts.iter().filter(|verdict| verdict.exit_code() > 0);
    with_problems
        .try_for_each(|verdict| verdict.write_text(false, &mut io::stderr().lock()))
        .context("print problems")?;
    let (Some(defaults), Some([old, new])) = (&defaults, &files) else { return Ok(worst(&verdicts)) };
    let (Some(old), Some(new)) = (limits_of(old), limits_of(new)) else { return Ok(worst(&verdicts)) };
    let changes = Changes::between(&old, &new, &defaults.defaults.limits);
    output::print(args.output, &changes, || changes.table())?;
    Ok(ExitCode::from(if changes.differences == 0 { 0 } else { exit::PROBLEMS }))
}

fn worst(verdicts: &[&Verdict]) -> ExitCode {
    verdicts.iter().map(|verdict| verdict.exit_code()).max().unwrap_or_default().into()
}

type ByTenant<'v> = BTreeMap<&'v str, &'v TenantLimits>;

/// The limits of each key; `None` if the document is rejected or cannot be read.
fn limits_of(verdict: &Verdict) -> Option<ByTenant<'_>> {
    match &verdict.outcome {
        Outcome::Accepted { limits, .. } => Some(limits.iter().map(|(key, limits)| (key.as_str(), limits)).collect()),
        _ => None,
    }
}

/// The tenants whose limits differ.
#[derive(Debug, Serialize)]
struct Changes {
    differences: usize,
    tenants: Vec<TenantChange>,
}

#[derive(Debug, Serialize)]
struct TenantChange {
    tenant: String,
    /// What becomes of the tenant's override: `added`, `changed` or `removed`.
    r#override: &'static str,
    limits: Vec<LimitChange>,
}

#[derive(Debug, Serialize)]
struct LimitChange {
    field: &'static str,
    old: Value,
    new: Value,
}

impl Changes {
    fn between(old: &ByTenant<'_>, new: &ByTenant<'_>, defaults: &TenantLimits) -> Self {
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        let change = |name: &str| {
            let (old, new) = (old.get(name).copied(), new.get(name).copied());
            let r#override = match (old, new) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            let limits = limit_changes(old.unwrap_or(defaults), new.unwrap_or(defaults));
            TenantChange { tenant: name.to_owned(), r#override, limits }
        };
        let tenants: Vec<_> = names.into_iter().map(change).filter(|change| !change.limits.is_empty()).collect();
        Self { differences: tenants.iter().map(|tenant| tenant.limits.len()).sum(), tenants }
    }

    fn table(&self) -> String {
        if self.tenants.is_empty() {
            return "no limit differs\n".to_owned();
        }
        let mut table = Table::new(&["TENANT", "OVERRIDE", "LIMIT", "OLD", "NEW"]);
        for TenantChange { tenant, r#override, limits } in &self.tenants {
            let tenant = if tenant.is_empty() { "\"\"" } else { tenant };
            for LimitChange { field, old, new } in limits {
                let cells = [tenant, r#override, field].map(str::to_owned);
                table.row(cells.into_iter().chain([old, new].map(shown)));
            }
        }
        let (limits, tenants) =
            (counted(self.differences as u64, "limit"), counted(self.tenants.len() as u64, "tenant"));
        format!("{}{limits} of {tenants}\n", table.text())
    }
}

fn limit_changes(old: &TenantLimits, new: &TenantLimits) -> Vec<LimitChange> {
    let (of_old, of_new) = (limits_json(old), limits_json(new));
    let value = |values: &Value, field: &str| values.get(field).cloned().unwrap_or_default();
    let change = |(field, _)| LimitChange { field, old: value(&of_old, field), new: value(&of_new, field) };
    old.differences(new).map(change).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        value => value.to_string(),
    }
}
