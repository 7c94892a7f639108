//! Envoy, which every push goes through.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, hold, pass};

/// It is gone at once, and comes back.
pub(crate) const KILLED: Case = Case {
    name: "envoy-killed",
    costs: Costs::Retries,
    normal_within: Duration::from_secs(5),
    fault: |stack| {
        stack.edge.envoy.process.kill();
        pass(hold());
        stack.edge.envoy.restart();
    },
    changes_a_limit: false,
};

/// It stands still, and goes on.
pub(crate) const FROZEN: Case = Case {
    name: "envoy-frozen",
    fault: |stack| {
        stack.edge.envoy.process.freeze();
        pass(hold());
        stack.edge.envoy.process.resume();
    },
    ..KILLED
};

/// The only one is told to drain, ends, and comes back.
pub(crate) const RESTARTED: Case = Case {
    name: "envoy-restarted",
    fault: |stack| {
        stack.edge.envoy.drain();
        pass(Duration::from_secs(1));
        stack.edge.envoy.process.signal(Signal::TERM);
        stack.edge.envoy.process.wait();
        pass(hold());
        stack.edge.envoy.restart();
    },
    ..KILLED
};
