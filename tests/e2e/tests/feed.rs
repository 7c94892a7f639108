//! Limits on their way from a ConfigMap to the decision: the real API server, overrides-sync, mimir-rls and Envoy.

#![expect(clippy::expect_used, reason = "a test may panic")]

mod changes;
mod docs;
mod mimir_state;
mod outages;

use e2e::{Cluster, Edge, free_port, recorded_limits, replay_recorded};

/// Tenants with a burst of this many samples, which do not refill within a test.
fn overrides(tenants: &[(&str, u32)]) -> String {
    let entries: String = tenants
        .iter()
        .map(|(tenant, burst)| format!("  {tenant}: {{ ingestion_rate: 0.00001, ingestion_burst_size: {burst} }}\n"))
        .collect();
    format!("overrides:\n{entries}")
}

#[test]
fn recorded_limits_in_a_configmap_give_mimirs_recorded_answers() {
    let cluster = Cluster::start(&recorded_limits());
    let sync = cluster.sync("sync", &[]);
    replay_recorded(|replay| {
        let upstream = free_port();
        let edge = Edge::builder().upstream(upstream).limits_from(&sync.feed()).start("");
        replay(edge.port(), &["--sink", &upstream.to_string()]);
    });
}
