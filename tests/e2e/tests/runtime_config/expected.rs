//! Documents with what a real Mimir made of each.

use std::collections::BTreeMap;
use std::fs;

use e2e::repository;
use serde_json::Value;

/// The fields that are compared, in the order of [`Values`].
const FIELDS: [&str; 5] =
    ["ingestion_rate", "ingestion_burst_size", "request_rate", "request_burst_size", "max_label_names_per_series"];
/// What Mimir has where nothing is said.
const DEFAULTS: [&str; 5] = ["10000", "200000", "0", "0", "30"];

/// One tenant's values of the fields, as text that is equal where they are.
pub(crate) type Values = [String; 5];

pub(crate) type Tenants = BTreeMap<String, Values>;

/// A document, and what Mimir made of it.
#[derive(Debug)]
pub(crate) struct Expected {
    /// With its extension, which says whether it is compressed.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The tenants in force; `None` where it is rejected.
    pub(crate) tenants: Option<Tenants>,
}

impl Expected {
    pub(crate) fn is_compressed(&self) -> bool {
        self.name.ends_with(".gz")
    }
}

/// All of them.
pub(crate) fn documents() -> Vec<Expected> {
    let folder = repository().join("tests/golden/runtime-config");
    let entries = fs::read_dir(&folder).expect("there are recorded documents");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("a folder can be read").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".yaml.gz"));
    names.sort();
    let read = |name: String| {
        let bytes = fs::read(folder.join(&name)).expect("a document can be read");
        let stem = name.trim_end_matches(".gz").trim_end_matches(".yaml");
        let verdict = fs::read_to_string(folder.join(format!("{stem}.expect"))).expect("a document has a verdict");
        Expected { tenants: tenants(&verdict), name, bytes }
    };
    names.into_iter().map(read).collect()
}

fn tenants(verdict: &str) -> Option<Tenants> {
    let (first, rows) = verdict.split_once('\n').unwrap_or((verdict, ""));
    match first {
        "refused" => return None,
        "accepted" => {}
        other => unreachable!("{other:?} is no verdict"),
    }
    let mut tenants = Tenants::new();
    for row in rows.lines() {
        let [tenant, field, value] = row.split('\t').collect::<Vec<_>>().try_into().expect("a row has three columns");
        let place = FIELDS.iter().position(|known| *known == field).expect("a row has a known field");
        tenants.entry(tenant.to_owned()).or_default()[place] = number(value);
    }
    Some(tenants)
}

/// The values of a tenant's limits in JSON; Mimir's own where a field is not there.
pub(crate) fn values(limits: &Value) -> Values {
    let mut values = DEFAULTS.map(str::to_owned);
    for (value, field) in values.iter_mut().zip(FIELDS) {
        match &limits[field] {
            Value::Null => {}
            Value::String(text) => *value = number(text),
            other => *value = number(&other.to_string()),
        }
    }
    values
}

/// A number in one spelling.
fn number(text: &str) -> String {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.to_string();
    }
    let float = match text {
        ".inf" | "+.inf" | "+Inf" => f64::INFINITY,
        "-.inf" | "-Inf" => f64::NEG_INFINITY,
        ".nan" | "NaN" => f64::NAN,
        other => other.parse().unwrap_or_else(|_| unreachable!("{other:?} is no number")),
    };
    float.to_string()
}
