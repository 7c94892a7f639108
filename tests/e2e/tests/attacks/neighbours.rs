//! The pushes of others while a client attacks: paced, so that a slow edge does not make them fewer.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{Connection, Request, exchange, push_request, samples, wait_until};

const EVERY: Duration = Duration::from_millis(20);
/// So many clients take turns, so that slow answers delay no push.
const CLIENTS: u32 = 10;

/// What the neighbours saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) pushes: usize,
    pub(super) failed: Vec<String>,
    pub(super) p99: Duration,
}

/// Runs an attack while neighbours push 50 times a second: for a second before the attack, and for as long as it takes.
pub(super) fn during<T>(port: u16, attack: impl FnOnce() -> T) -> (T, Seen) {
    let started = Instant::now();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let clients: Vec<_> =
            (0..CLIENTS).map(|first| scope.spawn(move || client(port, started, first, stop))).collect();
        wait_until(started + Duration::from_secs(1));
        let done = attack();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let results = clients.into_iter().flat_map(|client| client.join().expect("a neighbour pushes")).collect();
        (done, seen(results))
    })
}

fn client(port: u16, started: Instant, first: u32, stop: &std::sync::atomic::AtomicBool) -> Vec<(Duration, String)> {
    let request: Request = push_request("modest", &samples(10).bytes);
    let mut connection: Option<Connection> = None;
    let mut results = Vec::new();
    for turn in (first..).step_by(CLIENTS as usize) {
        let due = started + EVERY * turn;
        wait_until(due);
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return results;
        }
        let outcome = match exchange(&mut connection, port, &request) {
            Ok(answer) if answer.status == 200 => String::new(),
            Ok(answer) => format!("{} {}", answer.status, answer.text()),
            Err(error) => error.to_string(),
        };
        results.push((due.elapsed(), outcome));
    }
    results
}

fn seen(mut results: Vec<(Duration, String)>) -> Seen {
    results.sort();
    let p99 = results.get(results.len() * 99 / 100).map_or(Duration::ZERO, |(took, _)| *took);
    let failed =
        results.iter().filter(|(_, outcome)| !outcome.is_empty()).map(|(_, outcome)| outcome.clone()).collect();
    Seen { pushes: results.len(), failed, p99 }
}

impl Seen {
    /// At most one in a hundred pushes fails, and 99 of 100 are answered in time on a machine that also runs the attack and other tests.
    #[track_caller]
    pub(super) fn is_within_the_band(&self, attack: &str, p99: Duration) {
        e2e::report(&format!(
            "{attack}: {} pushes of neighbours, {} failed, p99 {:?}",
            self.pushes,
            self.failed.len(),
            self.p99
        ));
        assert!(self.pushes >= 50, "{self:?}");
        assert!(self.failed.len() * 100 <= self.pushes, "{self:?}");
        assert!(self.p99 < p99, "{self:?}");
    }
}
