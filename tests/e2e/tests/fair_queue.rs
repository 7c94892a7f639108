//! Tenants whose pushes take long to decode: none of these pushes is denied, and no other tenant waits for them.

use std::thread;

use e2e::{Connection, Edge, Load, default_batch, relabelling_limits};

const PUSHES: usize = 400;

#[test]
fn relabelling_rules_deny_no_push_over_any_number_of_connections() {
    let edge = Edge::builder().forgetting_bodies().start(&relabelling_limits());
    let push = default_batch("relabelled");
    for connections in [1, 2, 8, 16] {
        let each = (PUSHES / 4).div_ceil(connections);
        thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut open = Connection::open(edge.port()).unwrap_or_else(|error| unreachable!("{error}"));
                    for number in 0..each {
                        let status = open.send(&push).map(|answer| answer.status);
                        assert!(matches!(status, Ok(200)), "push {number} over {connections} connections: {status:?}");
                    }
                });
            }
        });
    }
}

#[test]
fn a_neighbour_is_answered_while_all_decoding_threads_are_busy() {
    let edge = Edge::builder().forgetting_bodies().start(&relabelling_limits());
    let relabelled = Load::start(edge.port(), vec![default_batch("relabelled"); 16]);
    relabelled.wait_for_more(16);
    let neighbour = default_batch("neighbour");
    for number in 0..50 {
        assert_eq!(edge.send(&neighbour).status, 200, "push {number}");
    }
    let relabelled = relabelled.stop();
    assert_eq!((relabelled.of(200), relabelled.errors.len()), (relabelled.answers(), 0), "{:?}", relabelled.statuses);
}
