//! Faults of Mimir. The module `outage` tests what an outage costs a Prometheus near its limit.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is killed, and starts again with what it had acknowledged.
pub(crate) const KILLED: Case = Case {
    name: "mimir-killed",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(10),
    fault: |stack| {
        stack.mimir.process.kill();
        let_fault_last();
        stack.mimir.restart();
    },
    changes_a_limit: false,
};

/// It freezes, and resumes.
pub(crate) const FROZEN: Case = Case {
    name: "mimir-frozen",
    fault: |stack| {
        stack.mimir.process.freeze();
        let_fault_last();
        stack.mimir.process.resume();
    },
    ..KILLED
};

/// The only Mimir gets SIGTERM, and starts again.
pub(crate) const RESTARTED: Case = Case {
    name: "mimir-restarted",
    fault: |stack| {
        stack.mimir.process.signal(Signal::TERM);
        stack.mimir.process.wait();
        let_fault_last();
        stack.mimir.restart();
    },
    ..KILLED
};
