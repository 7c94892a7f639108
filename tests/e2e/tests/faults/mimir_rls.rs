//! Faults of mimir-rls.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is gone at once, and comes back.
pub(crate) const KILLED: Case = Case {
    name: "mimir-rls-killed",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(5),
    fault: |stack| {
        stack.edge.rls.process.kill();
        let_fault_last();
        stack.edge.rls.restart();
    },
    changes_a_limit: true,
};

/// It stands still, and goes on.
pub(crate) const FROZEN: Case = Case {
    name: "mimir-rls-frozen",
    fault: |stack| {
        stack.edge.rls.process.freeze();
        let_fault_last();
        stack.edge.rls.process.resume();
    },
    ..KILLED
};

/// The only one is asked to end, as by an update of its pod, and comes back.
pub(crate) const RESTARTED: Case = Case {
    name: "mimir-rls-restarted",
    fault: |stack| {
        stack.edge.rls.process.signal(Signal::TERM);
        stack.edge.rls.process.wait();
        let_fault_last();
        stack.edge.rls.restart();
    },
    ..KILLED
};
