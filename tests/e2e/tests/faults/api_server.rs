//! Faults of the API server of Kubernetes, which holds the limits. No push waits for it.

use std::time::Duration;

use e2e::Signal;

use super::case::{Case, Costs, let_fault_last};

/// It is killed, and starts again.
pub(crate) const KILLED: Case = Case {
    name: "api-server-killed",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| {
        let server = &mut stack.control().cluster.server;
        server.kill();
        let_fault_last();
        server.restart();
    },
    changes_a_limit: true,
};

/// It freezes, and resumes.
pub(crate) const FROZEN: Case = Case {
    name: "api-server-frozen",
    fault: |stack| {
        let server = &stack.control().cluster.server;
        server.freeze();
        let_fault_last();
        server.resume();
    },
    ..KILLED
};

/// It gets SIGTERM, is killed after a while (it waits a minute for its watches), and starts again.
pub(crate) const RESTARTED: Case = Case {
    name: "api-server-restarted",
    fault: |stack| {
        let server = &mut stack.control().cluster.server;
        server.process.signal(Signal::TERM);
        let_fault_last();
        server.kill();
        server.restart();
    },
    ..KILLED
};
