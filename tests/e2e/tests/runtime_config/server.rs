//! What a running mimir-rls makes of a document.

use std::collections::BTreeMap;

use e2e::{MimirRls, until};
use limits::Tenant;
use serde_json::Value;

use super::expected::{Expected, Tenants, values};

/// What is in force while nothing else is.
pub(crate) const RESTING: &str = "resting";

/// A document that is good, and unlike any before it.
pub(crate) fn resting(number: usize) -> String {
    format!("overrides: {{{RESTING}: {{ingestion_rate: {}}}}}\n", number + 1)
}

/// Puts each document in the place of a good one, and compares what is in force afterwards with what Mimir had.
pub(crate) fn check(rls: &MimirRls, documents: &[&Expected], mut put: impl FnMut(&[u8]), mut rest: impl FnMut(&str)) {
    for (number, document) in documents.iter().enumerate() {
        let name = &document.name;
        rest(&resting(number));
        let before = BTreeMap::from([(RESTING.to_owned(), rate(number))]);
        until(&format!("a good document is in force before {name}"), || in_force(rls) == before && !is_rejected(rls));
        put(&document.bytes);
        match &document.tenants {
            Some(tenants) => {
                until(&format!("{name} is taken"), || !in_force(rls).contains_key(RESTING) || is_rejected(rls));
                assert_eq!(own(in_force(rls)), own(legal(tenants)), "{name}: {}", problems(rls));
            }
            None => {
                until(&format!("{name} is rejected"), || is_rejected(rls));
                assert_eq!(in_force(rls), before, "{name}: {}", problems(rls));
            }
        }
    }
}

fn rate(number: usize) -> [String; 5] {
    values(&serde_json::json!({ "ingestion_rate": number + 1 }))
}

/// The tenants that a push can name.
fn legal(tenants: &Tenants) -> Tenants {
    let is_legal = |name: &str| Tenant::parse(Some(name.as_bytes())).is_ok_and(|tenant| tenant.limits_key() == name);
    tenants.iter().filter(|(name, _)| is_legal(name)).map(|(name, values)| (name.clone(), values.clone())).collect()
}

/// Without those that have all the defaults: whether a tenant with an empty entry is listed makes no difference to it.
fn own(mut tenants: Tenants) -> Tenants {
    let defaults = values(&Value::Null);
    tenants.retain(|_, values| *values != defaults);
    tenants
}

/// Every tenant with limits of its own.
fn in_force(rls: &MimirRls) -> Tenants {
    let page = rls.get("/api/v1/tenants").json();
    let rows = page["tenants"].as_array().cloned().unwrap_or_default();
    let overridden = rows.iter().filter(|row| row["overridden"] == Value::Bool(true));
    overridden.map(|row| (row["tenant"].as_str().unwrap_or_default().to_owned(), values(&row["limits"]))).collect()
}

/// Whether the newest document is rejected.
fn is_rejected(rls: &MimirRls) -> bool {
    let page = rls.get("/api/v1/problems").json();
    page["problems"].as_array().is_some_and(|all| all.iter().any(|problem| problem["severity"] == "rejected"))
}

fn problems(rls: &MimirRls) -> String {
    rls.get("/api/v1/problems").text().into_owned()
}
