//! A load at a fixed rate, independent of the responses, and a record of every push of it: when it was sent, what its client saw, and whether
//! Mimir has it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::front_proxy::exchange_repeating;
use crate::http1::{Connection, Request};
use crate::mimir::Mimir;
use crate::push::push_request;
use crate::wait::wait_until;

/// As many pushes can wait for their answers before one is late.
const CLIENTS: usize = 400;
/// How soon a client sees that it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const METRIC: &str = "e2e_push";

/// The tenant of a push, and the status that is expected.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The tenant.
    pub tenant: Cow<'static, str>,
    /// Samples in each push.
    pub samples: usize,
    /// The status of its pushes while nothing fails.
    pub expected: u16,
}

/// The outcome of a push.
#[derive(Clone, Debug)]
pub struct PushOutcome {
    /// The number that identifies it in Mimir.
    pub number: u64,
    /// Its tenant and expected status.
    pub sender: Sender,
    /// When its client began to send it.
    pub started: Instant,
    /// How much later than due that was.
    pub late: Duration,
    /// From then until the response, or until the connection broke.
    pub took: Duration,
    /// `None` without a response.
    pub status: Option<u16>,
}

impl PushOutcome {
    /// Whether the status is the expected one.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.status == Some(self.sender.expected)
    }
}

/// A running load; dropping it stops it. Each push is a series of its own.
#[derive(Debug)]
pub struct OpenLoop {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    port: u16,
    senders: Box<dyn Fn(u64) -> Sender + Send + Sync>,
    first: u64,
    begun: Instant,
    every: Duration,
    next: AtomicU64,
    stopping: AtomicBool,
    connections: Mutex<Vec<Connection>>,
    outcomes: Mutex<Vec<PushOutcome>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("port", &self.port).field("every", &self.every).finish_non_exhaustive()
    }
}

impl OpenLoop {
    /// Starts pushing, one push after each `every`; `senders` says whose each is, counted from 0. Numbers go on from `first`, so that no two loads
    /// have a push in common.
    #[must_use]
    pub fn start(
        port: u16,
        senders: impl Fn(u64) -> Sender + Send + Sync + 'static,
        every: Duration,
        first: u64,
    ) -> Self {
        let shared = Arc::new(Shared {
            port,
            senders: Box::new(senders),
            first,
            begun: Instant::now(),
            every,
            next: AtomicU64::new(first),
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            outcomes: Mutex::default(),
        });
        let clients = (0..CLIENTS).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.push_in_turn())
        });
        Self { clients: clients.collect(), shared }
    }

    /// The outcomes of the pushes that have ended so far, in the order in which they began.
    #[must_use]
    pub fn outcomes(&self) -> Vec<PushOutcome> {
        let mut outcomes = self.shared.outcomes().clone();
        outcomes.sort_by_key(|outcome| outcome.number);
        outcomes
    }

    /// The start of the first run of this many pushes in a row with the expected status, among those that began at `since` or later.
    #[must_use]
    pub fn all_expected_since(&self, since: Instant, pushes: usize) -> Option<Instant> {
        let outcomes: Vec<PushOutcome> =
            self.outcomes().into_iter().filter(|outcome| outcome.started >= since).collect();
        let run = outcomes.windows(pushes).find(|run| run.iter().all(PushOutcome::is_expected))?;
        run.first().map(|outcome| outcome.started)
    }

    /// Sends nothing more, waits for the last answers, and says what came of all.
    #[must_use]
    pub fn stop(mut self) -> Vec<PushOutcome> {
        self.end();
        self.outcomes()
    }

    fn end(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            drop(client.join());
        }
    }
}

impl Drop for OpenLoop {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn outcomes(&self) -> MutexGuard<'_, Vec<PushOutcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push_in_turn(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let turn = number - self.first;
            let due = self.begun + self.every.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX));
            while Instant::now() < due && !self.stopping.load(Ordering::Relaxed) {
                wait_until(due.min(Instant::now() + LOOK_EVERY));
            }
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            self.push(number, (self.senders)(turn), due);
        }
    }

    fn push(&self, number: u64, sender: Sender, due: Instant) {
        let request = request(number, &sender);
        let started = Instant::now();
        let mut connection = self.connections().pop();
        let (answer, _) = exchange_repeating(&mut connection, self.port, &request);
        let status = answer.ok().map(|answer| answer.status);
        self.connections().extend(connection);
        let outcome = PushOutcome { number, sender, started, late: started - due, took: started.elapsed(), status };
        self.outcomes().push(outcome);
    }
}

fn request(number: u64, sender: &Sender) -> Request {
    let name = number.to_string();
    let mut series = Series::sample(&[("__name__", METRIC), ("push", &name)], 0.0, 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let last = i64::try_from(now).unwrap_or(i64::MAX);
    let first = last - i64::try_from(sender.samples).unwrap_or_default() + 1;
    series.samples = (first..=last).map(|time| (number as f64, time)).collect();
    let body = encode_push(Protocol::V1, &[series], &[]).expect("a test's push is below 4 GiB");
    push_request(&sender.tenant, &body)
}

/// The number of pushes with a 200 that Mimir does not have whole, and of pushes without one that it has.
///
/// # Panics
/// When Mimir does not answer.
#[must_use]
#[track_caller]
pub fn compare_with(mimir: &Mimir, outcomes: &[PushOutcome]) -> (usize, usize) {
    let tenants: BTreeSet<&str> = outcomes.iter().map(|outcome| &*outcome.sender.tenant).collect();
    let kept: BTreeMap<&str, BTreeMap<String, usize>> = tenants
        .into_iter()
        .map(|tenant| {
            let points = mimir.sample_times(tenant, METRIC);
            let pushes = points.into_iter().filter_map(|(labels, times)| Some((labels.last()?.clone(), times.len())));
            (tenant, pushes.collect())
        })
        .collect();
    let is_kept = |outcome: &&PushOutcome| {
        let found = kept.get(&*outcome.sender.tenant).and_then(|pushes| pushes.get(&outcome.number.to_string()));
        found == Some(&outcome.sender.samples)
    };
    let (acknowledged, others): (Vec<&PushOutcome>, Vec<&PushOutcome>) =
        outcomes.iter().partition(|outcome| outcome.status == Some(200));
    let missing = acknowledged.iter().filter(|outcome| !is_kept(outcome)).count();
    let unacknowledged = others.iter().filter(|outcome| is_kept(outcome)).count();
    (missing, unacknowledged)
}
