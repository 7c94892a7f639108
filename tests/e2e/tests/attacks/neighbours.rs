//! The pushes of others while a client attacks: an open loop, so that a slow edge makes them neither fewer nor later.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Connection, Request, exchange, push_request, samples, send, wait_until};

const EVERY: Duration = Duration::from_millis(20);
/// Pushes before the attack, which open the connections. They are not counted.
const QUIET: Duration = Duration::from_secs(1);
/// So long pushes are counted at least, also of an attack that is made sooner and then only holds its connections.
const LEAST: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is not used again: Envoy closes idle ones after 2 s when its memory is short.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// What the neighbours saw of the pushes that were due during the attack.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) due: usize,
    pub(super) pushes: usize,
    pub(super) failed: Vec<String>,
    pub(super) median: Duration,
    pub(super) p99: Duration,
    pub(super) slowest: Duration,
}

/// A push: when it was due, how long after that it ended, and why it failed.
struct Outcome {
    due: Instant,
    took: Duration,
    failure: Option<String>,
}

struct Neighbours {
    port: u16,
    begun: Instant,
    /// Pushes that are due from here on are not sent.
    end: OnceLock<Instant>,
    /// Those that no push uses now, and since when; the latest is the last.
    idle: Mutex<Vec<(Instant, Connection)>>,
    outcomes: Mutex<Vec<Outcome>>,
}

/// Ends the pushes, also when the attack panics.
struct Ended<'a>(&'a Neighbours);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end.get_or_init(Instant::now);
    }
}

/// Runs an attack while neighbours push 50 times a second, and waits for the last answer. Each push is sent when it is due, whatever became of those
/// before it, and its time counts from then.
pub(super) fn during<T>(port: u16, attack: impl FnOnce() -> T) -> (T, Seen) {
    let neighbours = Neighbours {
        port,
        begun: Instant::now(),
        end: OnceLock::new(),
        idle: Mutex::default(),
        outcomes: Mutex::default(),
    };
    let from = neighbours.begun + QUIET;
    let done = thread::scope(|scope| {
        let ended = Ended(&neighbours);
        scope.spawn(|| neighbours.push_when_due());
        wait_until(from);
        let done = attack();
        wait_until(from + LEAST);
        drop(ended);
        done
    });
    let end = *neighbours.end.get().expect("the pushes have ended");
    let outcomes = neighbours.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    (done, Seen::of(outcomes, from, end))
}

/// 50 pushes in a row, each of a client that connects for it, are ingested.
#[track_caller]
pub(super) fn new_clients_get_through(port: u16) {
    let push = push_request("modest", &samples(10).bytes);
    for number in 0..50 {
        let answer = send(port, &push);
        assert_eq!(answer.status, 200, "push {number} after the flood: {}", answer.text());
    }
}

impl Neighbours {
    fn push_when_due(&self) {
        let request = push_request("modest", &samples(10).bytes);
        thread::scope(|scope| {
            for turn in 0_u32.. {
                let due = self.begun + EVERY * turn;
                wait_until(due);
                if self.end.get().is_some_and(|end| due >= *end) {
                    return;
                }
                let request = &request;
                scope.spawn(move || self.push(due, request));
            }
        });
    }

    fn push(&self, due: Instant, request: &Request) {
        let mut connection = self.idle_connection();
        let failure = match exchange(&mut connection, self.port, request) {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(format!("{} {}", answer.status, answer.text())),
            Err(error) => Some(error.to_string()),
        };
        let outcome = Outcome { due, took: due.elapsed(), failure };
        self.idle().extend(connection.map(|connection| (Instant::now(), connection)));
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    fn idle_connection(&self) -> Option<Connection> {
        let (since, connection) = self.idle().pop()?;
        (since.elapsed() < LONGEST_IDLE).then_some(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(outcomes: Vec<Outcome>, from: Instant, end: Instant) -> Self {
        let counted: Vec<Outcome> = outcomes.into_iter().filter(|push| (from..end).contains(&push.due)).collect();
        let mut times: Vec<Duration> = counted.iter().map(|push| push.took).collect();
        times.sort();
        let of_hundred = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        Self {
            due: usize::try_from((end - from).as_millis() / EVERY.as_millis()).unwrap_or(usize::MAX),
            pushes: counted.len(),
            median: of_hundred(50),
            p99: of_hundred(99),
            slowest: times.last().copied().unwrap_or_default(),
            failed: counted.into_iter().filter_map(|push| push.failure).collect(),
        }
    }

    /// At most one in a hundred pushes fails, and 99 of 100 are answered in time on a machine that also runs the attack and other tests.
    #[track_caller]
    pub(super) fn is_within_the_band(&self, attack: &str, p99: Duration) {
        self.is_answered(attack, p99);
        assert!(self.failed.len() * 100 <= self.pushes, "{self:?}");
    }

    /// 99 of 100 pushes are answered in time. At most half fail, on any machine, and they get a 503, which tells the client to send them again.
    #[track_caller]
    pub(super) fn is_answered(&self, attack: &str, p99: Duration) {
        e2e::report(&format!(
            "{attack}: {} of {} pushes of neighbours, {} failed, median {:?}, p99 {:?}, slowest {:?}",
            self.pushes,
            self.due,
            self.failed.len(),
            self.median,
            self.p99,
            self.slowest
        ));
        assert!(self.due >= 100 && self.pushes * 10 >= self.due * 9, "{self:?}");
        assert!(self.failed.iter().all(|failure| failure.starts_with("503 ")), "{self:?}");
        assert!(self.failed.len() * 2 <= self.pushes, "{self:?}");
        assert!(self.p99 < p99, "{self:?}");
    }
}
