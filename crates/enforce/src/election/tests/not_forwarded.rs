//! Replicas whose pushes the edge denies, so that Mimir gets none of them.

use super::*;

#[test]
fn a_replica_that_is_not_forwarded_yields_to_the_next() {
    let play = Play::new(rules());
    let not_forwarded =
        |seconds, replica: &str| play.elections.note_not_forwarded("t", b"c", replica.as_bytes(), at(seconds));
    play.check(&[(0, "a", true)]);
    not_forwarded(0, "a");
    play.check(&[(1, "a", true)]);
    not_forwarded(1, "a");
    play.check(&[(2, "b", true), (3, "a", false)]);
    // Of b something reached Mimir, which holds for as long as Mimir waits for it.
    play.check(&[(10, "b", true)]);
    not_forwarded(10, "b");
    play.check(&[(11, "a", false), (12, "b", true), (13, "a", false), (20, "b", true)]);
    not_forwarded(20, "b");
    play.check(&[(30, "b", true)]);
    not_forwarded(30, "b");
    play.check(&[(41, "b", true)]);
    not_forwarded(41, "b");
    play.check(&[(43, "a", true), (44, "b", false)]);
    not_forwarded(44, "b");
    play.check(&[(45, "b", false), (46, "a", true)]);
}
