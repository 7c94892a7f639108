//! The pushes that the edge answers in a second: some clients that send the next one as soon as they have an answer.

use std::thread;
use std::time::{Duration, Instant};

use e2e::Connection;

use crate::figures::{Figures, median};
use crate::pushes::{Case, Pushes};
use crate::testbed::Testbed;

const SIZES: [u32; 3] = [100, 775, 2_000];
const CLIENTS: usize = 8;
/// In turn; the median counts.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1_500);

pub(crate) fn measure(testbed: &Testbed, _: &mut Figures) {
    println!(
        "Pushes a second with {CLIENTS} connections, each with one push at a time. Clients and the upstream share the cores with what is measured.\n"
    );
    println!("| samples | plain Envoy | edge, allowed | edge, denied by the ingestion rate |\n|---|---|---|---|");
    for samples in SIZES {
        let [allowed, denied] = [(Case::Allowed, 200), (Case::Rate, 429)]
            .map(|(case, status)| (Pushes::of(case, samples).next().to_bytes(), status));
        let (plain, edge) = (testbed.plain.port(), testbed.edge.port());
        let loads = [(plain, &allowed), (edge, &allowed), (edge, &denied)];
        let rounds: Vec<_> = (0..ROUNDS).map(|_| loads.map(|(port, push)| per_second(port, push))).collect();
        let [plain, allowed, denied] =
            [0, 1, 2].map(|load| median(rounds.iter().filter_map(|round| round.get(load).copied()).collect()));
        println!("| {samples} | {plain:.0} | {allowed:.0} | {denied:.0} |");
    }
    println!();
}

/// Answers of this status to a push.
fn per_second(port: u16, push: &(Vec<u8>, u16)) -> f64 {
    let started = Instant::now();
    let answered: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| answered(port, push, started + ROUND))).collect();
        clients.into_iter().map(|client| client.join().unwrap_or_default()).sum()
    });
    answered as f64 / started.elapsed().as_secs_f64()
}

fn answered(port: u16, (push, status): &(Vec<u8>, u16), until: Instant) -> usize {
    let mut open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}"));
    let mut answered = 0;
    while Instant::now() < until {
        let answer = open.send_raw(push).unwrap_or_else(|error| unreachable!("{error}"));
        answered += usize::from(answer.status == *status);
    }
    answered
}
