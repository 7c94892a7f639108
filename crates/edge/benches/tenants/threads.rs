//! What two threads decide in the time of one, on different tenants.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use edge::Edge;

use crate::setup::{body, check, edge_with, limits_of, push};
use crate::{Row, Target, median};

const TENANTS: u32 = 10_000;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(300);

pub(crate) fn rows() -> Vec<Row> {
    let body = body(100);
    let limits = limits_of(TENANTS, 1 << 50);
    let [shared, other] = [(), ()].map(|()| edge_with(limits.clone()).0);
    let per_second = |edges: &[&Edge]| -> f64 {
        let start = Barrier::new(edges.len());
        thread::scope(|scope| {
            let deciding: Vec<_> = (0_u32..)
                .zip(edges)
                .map(|(number, edge)| {
                    let pushes: Vec<_> = (0..TENANTS / 2).map(|turn| push(turn * 2 + number, &body)).collect();
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        let begun = Instant::now();
                        let in_time = pushes.iter().cycle().take_while(|_| begun.elapsed() < ROUND);
                        in_time.map(|push| check(edge, push)).count() as f64 / begun.elapsed().as_secs_f64()
                    })
                })
                .collect();
            deciding.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    };
    per_second(&[&shared, &shared]);
    let rounds: Vec<[f64; 2]> = (0..ROUNDS)
        .map(|_| {
            let one = per_second(&[&shared]);
            // Two that share nothing: what the machine gives a second thread.
            [per_second(&[&shared, &shared]) / one, per_second(&[&shared, &other]) / one]
        })
        .collect();
    let [together, apart] =
        [0, 1].map(|place| median(rounds.iter().filter_map(|round| round.get(place).copied()).collect()));
    vec![
        Row::new("checks of two threads", together, "times those of one", Some(Target::AtLeast(1.7))),
        Row::new("the same with an edge for each thread", apart, "times those of one", None),
    ]
}
