//! The CPU time of mimir-rls and Envoy for a push, and of Mimir for the same one: pushes one after the other on one connection.

use std::time::{Duration, Instant};

use e2e::{Connection, Process, until};

use crate::figures::{Figures, micros};
use crate::pushes::{Case, Pushes, SIZES};
use crate::testbed::Testbed;

/// Of each case, in turn; the median counts.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(800);

/// CPU time of a push.
#[derive(Clone, Copy, Default)]
struct Cost {
    mimir: Duration,
    rls: Duration,
    envoy: Duration,
}

impl Cost {
    fn ratio(self) -> f64 {
        (self.rls + self.envoy).as_secs_f64() / self.mimir.as_secs_f64()
    }
}

/// Measures all rows, or those whose case and size are among `rows`.
pub(crate) fn measure(testbed: &Testbed, rows: &[String], figures: &mut Figures) {
    println!("CPU time of a push in µs; the ratio is that of the edge (mimir-rls and Envoy) to Mimir.\n");
    println!("| samples | the push is | Mimir | mimir-rls | Envoy | ratio | target |\n|---|---|---|---|---|---|---|");
    for case in Case::ALL {
        for samples in SIZES {
            let names = [case.kind().to_owned(), samples.to_string()];
            if !rows.iter().all(|row| names.contains(row)) {
                continue;
            }
            let cost = of_pushes(testbed, case, samples);
            let name = format!("CPU of {samples} samples {}", case.name());
            let target = figures.target(&name, cost.ratio(), case.target(samples));
            let [mimir, rls, envoy] = [cost.mimir, cost.rls, cost.envoy].map(micros);
            let (case, ratio) = (case.name(), cost.ratio());
            println!("| {samples} | {case} | {mimir:.0} | {rls:.0} | {envoy:.0} | {ratio:.2} | {target} |");
        }
    }
    println!();
}

/// The median of some rounds, by the ratio. The first one warms both up.
fn of_pushes(Testbed { edge, mimir, .. }: &Testbed, case: Case, samples: u32) -> Cost {
    let mut pushes = Pushes::of(case, samples);
    for port in [mimir.port(), edge.port()] {
        exhaust(port, case, &mut pushes);
    }
    let mut rounds: Vec<Cost> = (0..=ROUNDS)
        .map(|_| {
            let [of_mimir] = round(mimir.port(), [&mimir.process], &mut pushes);
            let [rls, envoy] = round(edge.port(), [&edge.rls.process, &edge.envoy.process], &mut pushes);
            Cost { mimir: of_mimir, rls, envoy }
        })
        .skip(1)
        .collect();
    rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    rounds.get(ROUNDS / 2).copied().unwrap_or_default()
}

/// Empties the bucket of a tenant that is denied.
fn exhaust(port: u16, case: Case, pushes: &mut Pushes) {
    if case == Case::Allowed {
        return;
    }
    until("a push is denied", || match Connection::open(port).and_then(|mut open| open.send(pushes.next())) {
        Ok(answer) => answer.status == 429,
        // Where a server closes the connection of a push that it denies, the answer may be lost.
        Err(_) => true,
    });
}

/// The CPU time of these programs for each of the pushes that are sent in turn for a while.
fn round<const N: usize>(port: u16, programs: [&Process; N], pushes: &mut Pushes) -> [Duration; N] {
    let mut open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}"));
    let before = programs.map(Process::cpu_time);
    let (started, mut sent) = (Instant::now(), 0_u32);
    while started.elapsed() < ROUND {
        // A server that denies a push before it has read all of it closes the connection, and its answer may be lost with that.
        match open.send(pushes.next()) {
            Ok(answer) => assert_eq!(answer.status, pushes.expected_status(), "{}", answer.text()),
            Err(_) => open = Connection::open(port).unwrap_or_else(|error| unreachable!("{error}")),
        }
        sent += 1;
    }
    let mut used = programs.map(Process::cpu_time);
    for (used, before) in used.iter_mut().zip(before) {
        *used = used.saturating_sub(before) / sent;
    }
    used
}
