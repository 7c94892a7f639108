//! Faults of mimir-rls.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is killed, and starts again.
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

/// It freezes, and resumes.
pub(crate) const FROZEN: Case = Case {
    name: "mimir-rls-frozen",
    fault: |stack| {
        stack.edge.rls.process.freeze();
        let_fault_last();
        stack.edge.rls.process.resume();
    },
    ..KILLED
};

/// The only mimir-rls gets SIGTERM, as in an update of its pod, and starts again.
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
