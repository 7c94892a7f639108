//! Mimir, which the edge stands in front of. What an outage of it costs a Prometheus near its limit is a suite of its own.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, hold, pass};

/// It is gone at once, and comes back with what it had acknowledged.
pub(crate) const KILLED: Case = Case {
    name: "mimir-killed",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(10),
    fault: |stack| {
        stack.mimir.process.kill();
        pass(hold());
        stack.mimir.restart();
    },
    changes_a_limit: false,
};

/// It stands still, and goes on.
pub(crate) const FROZEN: Case = Case {
    name: "mimir-frozen",
    fault: |stack| {
        stack.mimir.process.freeze();
        pass(hold());
        stack.mimir.process.resume();
    },
    ..KILLED
};

/// The only one is asked to end, and comes back.
pub(crate) const RESTARTED: Case = Case {
    name: "mimir-restarted",
    fault: |stack| {
        stack.mimir.process.signal(Signal::TERM);
        stack.mimir.process.wait();
        pass(hold());
        stack.mimir.restart();
    },
    ..KILLED
};
