//! What the edge adds to the time that a client waits for its answer, at a fixed rate of pushes that does not depend on the answers.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{Connection, wait_until};

use crate::figures::{Figures, median};
use crate::pushes::{Case, Pushes};
use crate::testbed::Testbed;

const SAMPLES: u32 = 775;
/// Pushes a second, and the most that the edge is to add at each of [`PERCENTILES`], in milliseconds.
const RATES: [(u32, [f64; 2]); 2] = [(500, [0.45, 0.9]), (1_000, [0.45, 0.9])];
const PERCENTILES: [usize; 2] = [50, 99];
/// Clients that take turns: as many pushes can wait for their answers before one is late.
const CLIENTS: u32 = 32;
/// The plain Envoy and the edge in turn; the median counts.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
/// Of a round, in which connections and buffers grow; not counted.
const WARM_UP: Duration = Duration::from_millis(500);

pub(crate) fn measure(testbed: &Testbed, figures: &mut Figures) {
    println!(
        "Latency of allowed pushes of {SAMPLES} samples in ms, from the time at which each was due. Added is the median of what {ROUNDS} rounds show.\n"
    );
    println!("| pushes/s | percentile | plain Envoy | edge | added | target |\n|---|---|---|---|---|---|");
    let push = Pushes::of(Case::Allowed, SAMPLES).next().to_bytes();
    let ports = [testbed.plain.port(), testbed.edge.port()];
    for (rate, targets) in RATES {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| ports.map(|port| percentiles(port, &push, rate))).collect();
        for (place, (percentile, target)) in PERCENTILES.into_iter().zip(targets).enumerate() {
            let of_rounds = |figure: fn([f64; 2]) -> f64| {
                let figures = rounds.iter().filter_map(|[plain, edge]| Some([*plain.get(place)?, *edge.get(place)?]));
                median(figures.map(figure).collect())
            };
            let [plain, edge] = [of_rounds(|[plain, _]| plain), of_rounds(|[_, edge]| edge)];
            let added = of_rounds(|[plain, edge]| edge - plain);
            let target = figures.target(&format!("added p{percentile} at {rate} pushes/s"), added, Some(target));
            println!("| {rate} | p{percentile} | {plain:.2} | {edge:.2} | {added:.2} | {target} |");
        }
    }
    println!();
}

fn percentiles(port: u16, push: &[u8], rate: u32) -> [f64; 2] {
    let every = Duration::from_secs(1) / rate;
    let [warm_up, pushes] = [WARM_UP, WARM_UP + ROUND].map(|time| time.div_duration_f64(every) as u32);
    let begin = Instant::now() + Duration::from_millis(50);
    let client = |first: u32| {
        let mut open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}"));
        let turns = (first..pushes).step_by(CLIENTS as usize);
        let latency = |turn: u32| {
            let due = begin + every * turn;
            wait_until(due);
            let answer = open.send_raw(push).unwrap_or_else(|error| unreachable!("{error}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            (turn >= warm_up).then(|| due.elapsed())
        };
        turns.filter_map(latency).collect::<Vec<_>>()
    };
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|first| scope.spawn(move || client(first))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect()
    });
    latencies.sort_unstable();
    PERCENTILES.map(|percent| {
        latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    })
}
