//! Faults of overrides-sync. No push waits for it.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is gone at once, and comes back.
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

/// It stands still, and goes on.
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

/// It is asked to end, as by an update of its pod, and comes back.
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
