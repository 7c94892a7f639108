//! Tenants whose pushes take long to read: none of them is refused for it, and no other tenant waits for them.

use std::thread;

use e2e::{Connection, Edge, Load, ruled_batch, ruled_limits};

const PUSHES: usize = 400;

#[test]
fn relabelling_rules_deny_no_push_over_any_number_of_connections() {
    let edge = Edge::builder().forgetting_bodies().start(&ruled_limits());
    let push = ruled_batch("ruled");
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
    let edge = Edge::builder().forgetting_bodies().start(&ruled_limits());
    let ruled = Load::start(edge.port(), vec![ruled_batch("ruled"); 16]);
    ruled.wait_for_more(16);
    let neighbour = ruled_batch("neighbour");
    for number in 0..50 {
        assert_eq!(edge.send(&neighbour).status, 200, "push {number}");
    }
    let ruled = ruled.stop();
    assert_eq!((ruled.of(200), ruled.errors.len()), (ruled.answers(), 0), "{:?}", ruled.statuses);
}
