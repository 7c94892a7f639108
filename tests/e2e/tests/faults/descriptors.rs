//! No descriptor is left: nothing can be opened, and no connection accepted.

use std::net::TcpStream;
use std::time::Duration;

use super::case::{Case, Costs, let_fault_last};

const USUAL: u64 = 20_000;

fn connections(port: u16, count: usize) -> Vec<TcpStream> {
    (0..count).filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect()
}

/// Peers open connections until mimir-rls can accept none. Envoy has its own already.
pub(crate) const OF_MIMIR_RLS: Case = Case {
    name: "mimir-rls-without-descriptors",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| {
        let rls = &stack.edge.rls;
        rls.process.limit_descriptors(rls.process.descriptors() + 8);
        let held = connections(rls.grpc_port(), 100);
        let_fault_last();
        drop(held);
        rls.process.limit_descriptors(USUAL);
    },
    changes_a_limit: true,
};

/// Clients open connections until Envoy can accept none; those that are open go on. Before the limit is lifted they close theirs.
pub(crate) const OF_ENVOY: Case = Case {
    name: "envoy-without-descriptors",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(10),
    fault: |stack| {
        let envoy = &mut stack.edge.envoy;
        envoy.process.limit_descriptors(envoy.process.descriptors() + 8);
        let held = connections(envoy.port(), 100);
        let_fault_last();
        drop(held);
        if envoy.process.ended().is_some() {
            eprintln!("Envoy ended without descriptors");
            envoy.restart();
        } else {
            envoy.process.limit_descriptors(USUAL);
        }
    },
    changes_a_limit: false,
};
