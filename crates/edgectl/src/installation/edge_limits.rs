//! The limits that a mimir-rls has in force, compared with those of a running Mimir, by the code of `edgectl check --against`.

use futures_util::future::join_all;
use limits::{Problem, SourceDocument};
use limits_source::DefaultLimits;
use serde_json::Value;

use crate::check::{Outcome, RunningMimir, Verdict};
use crate::edge_api::{Fields, Replica, TenantRow};
use crate::output::counted;
use crate::tenants::all_pages;

/// The name scheme has another default below an override, so an override names it.
const NAME_SCHEME: &str = "name_validation_scheme";

/// The replicas that are compared: each answers with all of its tenants.
const COMPARED: usize = 8;

/// What one replica differs in; with the number of tenants with an override in Mimir.
type Differences = Result<(usize, Vec<String>), String>;

/// What was compared, and a line for each difference of any replica.
///
/// # Errors
/// None can be compared.
pub(super) async fn of_all(replicas: &[Replica], running: &RunningMimir) -> Result<(String, Vec<String>), String> {
    let replicas_of = |replica| async move { (Replica::name(replica), differences(replica, running).await) };
    let compared = join_all(replicas.iter().take(COMPARED).map(replicas_of)).await;
    merged(&compared, replicas.len())
}

/// The differences of several replicas out of so many.
fn merged(compared: &[(&str, Differences)], of: usize) -> Result<(String, Vec<String>), String> {
    let good: Vec<_> = compared.iter().filter_map(|(name, found)| Some((*name, found.as_ref().ok()?))).collect();
    let Some(tenants) = good.iter().map(|(_, (tenants, _))| *tenants).max() else {
        let why = compared.iter().find_map(|(_, found)| found.as_ref().err().cloned());
        return Err(why.unwrap_or_else(|| "no mimir-rls says what it enforces".to_owned()));
    };
    let mut lines: Vec<String> = Vec::new();
    for line in good.iter().flat_map(|(_, (_, lines))| lines) {
        let having: Vec<_> =
            good.iter().filter(|(_, (_, lines))| lines.contains(line)).map(|(name, _)| *name).collect();
        let line = if having.len() == good.len() { line.clone() } else { format!("{}: {line}", having.join(", ")) };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let tenants = counted(tenants as u64, "tenant");
    let detail = match (good.len(), of) {
        (1, 1) => tenants,
        (some, of) if some == of => format!("{tenants}, in each of {of} replicas"),
        (some, of) => format!("{tenants}, in {some} of {of} replicas; the others were not compared"),
    };
    Ok((detail, lines))
}

/// The number of tenants with an override in Mimir, and a line for each difference.
///
/// # Errors
/// The limits of one side cannot be read.
async fn differences(replica: &Replica, running: &RunningMimir) -> Differences {
    let all = all_pages(replica).await.map_err(|error| format!("{}: {error}", replica.name()))?;
    let Some(defaults) = &all.default_limits else { return Err(format!("{} has no limits yet", replica.name())) };
    let of_defaults =
        DefaultLimits::of_config_page(replica.name(), format!("limits:\n{}", block(defaults, "  ")).as_bytes());
    let own = of_defaults.map_err(|error| error.to_string())?;
    let document = overrides(&all.tenants, defaults);
    let any = "0.0".parse().unwrap_or_default();
    let checked = limits::check(&own.defaults, &any, &[SourceDocument::new(replica.name(), document.as_bytes())]);
    if checked.rejected {
        let first = checked.problems.first().map_or_else(String::new, ToString::to_string);
        return Err(format!("the limits of {} cannot be read: {first}", replica.name()));
    }
    let here = Verdict::new(
        "mimir-rls".to_owned(),
        Outcome::Accepted { tenants: checked.tenants, limits: checked.limits },
        Vec::new(),
    );
    let compared = running.compare(&here, &own).ok_or("the limits cannot be compared")?;
    match compared.outcome {
        Outcome::Compared { tenants } => Ok((tenants, compared.problems.iter().map(line).collect())),
        Outcome::Unreadable(why) => Err(why),
        _ => Err("the limits cannot be compared".to_owned()),
    }
}

/// `here` is mimir-rls.
fn line(problem: &Problem) -> String {
    let tenant = problem.tenant.as_deref().map_or_else(String::new, |tenant| format!("tenant {tenant}: "));
    format!("{tenant}{}", problem.message.replace(" here", " in the edge"))
}

/// The tenants with an override as a document.
fn overrides(tenants: &[TenantRow], defaults: &Fields) -> String {
    let mut document = "overrides:\n".to_owned();
    for row in tenants.iter().filter(|row| row.overridden) {
        let mut fields = row.limits.clone();
        if let Some(scheme) = defaults.get(NAME_SCHEME) {
            fields.entry(NAME_SCHEME).or_insert_with(|| scheme.clone());
        }
        document.push_str(&format!("  {}:\n{}", limits::quote_yaml(&row.tenant), block(&fields, "    ")));
    }
    if document.ends_with("overrides:\n") { "overrides: {}\n".to_owned() } else { document }
}

/// A line for each field. The API has infinities, NaN and rules as the texts that YAML has for them.
fn block(fields: &Fields, indent: &str) -> String {
    let value = |field: &str, value: &Value| match value {
        Value::String(text)
            if field == "metric_relabel_configs" || matches!(text.as_str(), ".inf" | "-.inf" | ".nan") =>
        {
            text.clone()
        }
        value => value.to_string(),
    };
    fields.iter().map(|(field, of_field)| format!("{indent}{field}: {}\n", value(field, of_field))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn differences_of_some_replicas_name_these() {
        let found = |lines: &[&str]| Ok((2, lines.iter().map(|line| (*line).to_owned()).collect()));
        let merged = |compared: &[(&str, Differences)], of| merged(compared, of).unwrap_or_default();
        assert_eq!(merged(&[("a", found(&[]))], 1), ("2 tenants".to_owned(), Vec::new()));
        let (detail, lines) = merged(&[("a", found(&["x", "y"])), ("b", found(&["y"])), ("c", Err(String::new()))], 3);
        assert_eq!(detail, "2 tenants, in 2 of 3 replicas; the others were not compared");
        assert_eq!(lines, ["a: x", "y"]);
    }

    #[test]
    fn limits_of_the_api_are_a_document_again() {
        let defaults = fields(json!({ "ingestion_rate": 10_000, "name_validation_scheme": "utf8" }));
        let row = |tenant: &str, overridden: bool, limits: Value| TenantRow {
            tenant: tenant.to_owned(),
            mode: "enforce".to_owned(),
            overridden,
            has_buckets: false,
            limits: fields(limits),
        };
        let rules = "[{source_labels: [\"a\"], action: drop}]";
        let rows = [
            row(
                "a b",
                true,
                json!({ "ingestion_rate": ".inf", "metric_relabel_configs": rules, "drop_labels": ["x"] }),
            ),
            row("only-a-mode", false, json!({})),
        ];
        let expected = format!(
            "overrides:\n  \"a b\":\n    drop_labels: [\"x\"]\n    ingestion_rate: .inf\n    metric_relabel_configs: {rules}\n    \
             name_validation_scheme: \"utf8\"\n"
        );
        assert_eq!(overrides(&rows, &defaults), expected);
        assert_eq!(overrides(&rows[1..], &defaults), "overrides: {}\n");
    }
}
