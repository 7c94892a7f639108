//! Faults of overrides-sync. No push waits for it.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is killed, and starts again.
pub(crate) const KILLED: Case = Case {
    name: "overrides-sync-killed",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| {
        let sync = &mut stack.control().sync;
        sync.process.kill();
        let_fault_last();
        sync.restart();
    },
    changes_a_limit: true,
};

/// It freezes, and resumes.
pub(crate) const FROZEN: Case = Case {
    name: "overrides-sync-frozen",
    fault: |stack| {
        let sync = &mut stack.control().sync;
        sync.process.freeze();
        let_fault_last();
        sync.process.resume();
    },
    ..KILLED
};

/// It gets SIGTERM, as in an update of its pod, and starts again.
pub(crate) const RESTARTED: Case = Case {
    name: "overrides-sync-restarted",
    fault: |stack| {
        let sync = &mut stack.control().sync;
        sync.process.signal(Signal::TERM);
        sync.process.wait();
        let_fault_last();
        sync.restart();
    },
    ..KILLED
};
