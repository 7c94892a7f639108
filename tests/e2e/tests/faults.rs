//! Each program of the edge, and each of its dependencies, fails under the load of a real Prometheus and of pushes at a fixed rate. The tests
//! know each push, and query Mimir for it afterwards.
//!
//! `make faults` runs all of it (`FAULTS=long`); the short form runs the most telling cases. Each case prints one line with its figures;
//! `docs/reliability.md` has them.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod api_server;
mod case;
mod clock;
mod descriptors;
mod disk;
mod envoy;
mod garbage;
mod mimir;
mod mimir_rls;
mod overrides_sync;
mod slow_loris;
mod stack;

use case::{Case, is_long};
use stack::Stack;

/// Runs the cases one after the other on one stack.
fn run(stack: &mut Stack, cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        case.run(stack);
    }
}

#[test]
fn faults_on_the_path_of_a_push() {
    let mut stack = Stack::with_a_file();
    run(&mut stack, [mimir_rls::KILLED, mimir_rls::FROZEN, envoy::KILLED, slow_loris::BODIES]);
    if is_long() {
        run(&mut stack, [mimir_rls::RESTARTED, envoy::FROZEN, envoy::RESTARTED, slow_loris::LARGE_BODIES]);
        run(&mut stack, [mimir::KILLED, mimir::FROZEN, mimir::RESTARTED]);
        run(&mut stack, [descriptors::OF_MIMIR_RLS, descriptors::OF_ENVOY]);
    }
    stack.end();
}

#[test]
fn faults_on_the_path_of_a_limit() {
    let mut stack = Stack::with_a_cluster();
    run(&mut stack, [overrides_sync::KILLED, garbage::FEED]);
    if is_long() {
        run(&mut stack, [overrides_sync::FROZEN, overrides_sync::RESTARTED]);
        run(&mut stack, [api_server::KILLED, api_server::FROZEN, api_server::RESTARTED]);
    }
    stack.end();
}

#[test]
fn a_full_disk() {
    if !is_long() {
        return;
    }
    let mut stack = disk::stack();
    run(&mut stack, [disk::FULL]);
    stack.end();
}

#[test]
fn a_clock_that_steps() {
    if !is_long() {
        return;
    }
    let mut stack = clock::stack();
    run(&mut stack, [clock::AHEAD, clock::BACK]);
    stack.end();
}
