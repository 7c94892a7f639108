//! The source that watches a ConfigMap, in this process, against the real API server.

#![expect(clippy::expect_used, reason = "a test may panic")]

mod changes;
mod distributors;
mod outages;
mod permissions;
mod proxy;
mod selection;
mod watched;

use watched::Watched;

/// A runtime config in which each of these tenants has this rate.
fn rates(tenants: &[(&str, u32)]) -> String {
    let entries: String =
        tenants.iter().map(|(tenant, rate)| format!("  {tenant}: {{ ingestion_rate: {rate} }}\n")).collect();
    format!("overrides:\n{entries}")
}
