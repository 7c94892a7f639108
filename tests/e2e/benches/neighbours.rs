//! What a tenant without rules sees of its pushes while another one with 20 relabelling rules pushes as fast as it is answered.
//!
//! Ratios within one run; the programs are those beside this one.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use e2e::{Connection, Edge, Load, Request, default_batch, relabelling_limits};

const PUSHES: usize = 400;

/// p50 and p99 of pushes one after the other.
fn latencies(edge: &Edge, push: &Request) -> [Duration; 2] {
    let mut open = Connection::open(edge.port()).unwrap_or_else(|error| unreachable!("{error}"));
    let mut took: Vec<Duration> = (0..PUSHES)
        .map(|_| {
            let started = Instant::now();
            let answer = open.send(push).unwrap_or_else(|error| unreachable!("{error}"));
            assert_eq!(answer.status, 200);
            started.elapsed()
        })
        .collect();
    took.sort_unstable();
    [50, 99].map(|percent| took.get(PUSHES * percent / 100).copied().unwrap_or_default())
}

fn main() {
    let edge = Edge::builder().forgetting_bodies().start(&relabelling_limits());
    let (relabelled, neighbour) = (default_batch("relabelled"), default_batch("neighbour"));
    latencies(&edge, &neighbour);
    println!("load                       p50        p99        503 of the load");
    for connections in [0, 1, 2, 8, 16] {
        for (name, request) in [("rules", &relabelled), ("none", &neighbour)] {
            let load = Load::start(edge.port(), vec![request.clone(); connections]);
            let [p50, p99] = latencies(&edge, &neighbour);
            let seen = load.stop();
            println!(
                "{connections:2} connections, {name:8} {p50:9.2?}  {p99:9.2?}  {} of {}",
                seen.of(503),
                seen.answers()
            );
        }
    }
}
