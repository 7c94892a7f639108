//! Faults of Envoy.

use std::time::Duration;

use e2e::{Signal, until};

use super::case::{Case, Costs, let_fault_last};

/// It is killed, and starts again.
pub(crate) const KILLED: Case = Case {
    name: "envoy-killed",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(5),
    fault: |stack| {
        stack.edge.envoy.process.kill();
        let_fault_last();
        stack.edge.envoy.restart();
    },
    changes_a_limit: false,
};

/// It freezes, and resumes.
pub(crate) const FROZEN: Case = Case {
    name: "envoy-frozen",
    fault: |stack| {
        stack.edge.envoy.process.freeze();
        let_fault_last();
        stack.edge.envoy.process.resume();
    },
    ..KILLED
};

/// The only Envoy drains, exits, and starts again.
pub(crate) const RESTARTED: Case = Case {
    name: "envoy-restarted",
    fault: |stack| {
        stack.edge.envoy.drain();
        until("the draining Envoy is not ready", || stack.edge.envoy.readiness() == Some(503));
        stack.edge.envoy.process.signal(Signal::TERM);
        stack.edge.envoy.process.wait();
        let_fault_last();
        stack.edge.envoy.restart();
    },
    ..KILLED
};
