//! Clients that push for many tenants, each at a pace of its own, while a test does something to the edge.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Connection, Request, exchange, push_request, samples, wait_until};

/// As many pushes can wait for their answers before one is late.
const CLIENTS: usize = 16;

/// Pushes that one bucket limits.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// How the tenant is spelled, in turn.
    pub(crate) spellings: Vec<String>,
    /// In each push.
    pub(crate) samples: usize,
    pub(crate) pushes_per_second: u32,
}

/// A push and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) started: Instant,
    pub(crate) answered: Instant,
    /// `None`: there was no answer.
    pub(crate) status: Option<u16>,
}

impl Push {
    pub(crate) fn passed(&self) -> bool {
        self.status == Some(200)
    }

    /// Neither let through nor denied for a limit.
    pub(crate) fn failed(&self) -> bool {
        !matches!(self.status, Some(200 | 429))
    }
}

/// The pushes of every stream, in the order of the streams and in no order within one.
pub(crate) type Answers = Vec<Vec<Push>>;

/// A push of the plan.
struct Planned {
    /// In each second.
    due: Duration,
    stream: usize,
    /// One for each spelling, in turn by the second.
    requests: Vec<Request>,
}

/// One second of pushes, in order.
fn second(streams: &[Stream]) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    for (place, stream) in streams.iter().enumerate() {
        let every = Duration::from_secs(1) / stream.pushes_per_second;
        // Streams of the same pace do not push at the same moment.
        let first = every.mul_f64(place as f64 / streams.len() as f64);
        let body = samples(stream.samples).bytes;
        let requests: Vec<Request> = stream.spellings.iter().map(|spelling| push_request(spelling, &body)).collect();
        plan.extend((0..stream.pushes_per_second).map(|turn| Planned {
            due: first + every * turn,
            stream: place,
            requests: requests.iter().cycle().skip(turn as usize).take(requests.len()).cloned().collect(),
        }));
    }
    plan.sort_by_key(|planned| planned.due);
    plan
}

/// Pushes until `meanwhile` is done, and for `least` at least. A push that is late is sent as soon as it can be, so that all of them are sent.
pub(crate) fn push_during<T>(
    port: u16,
    streams: &[Stream],
    least: Duration,
    meanwhile: impl FnOnce() -> T,
) -> (Answers, T) {
    let plan = second(streams);
    let (next, done, started) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
    let client = || {
        let (mut connection, mut pushes) = (None, Vec::new());
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let (round, planned) = (turn / plan.len(), plan.get(turn % plan.len()));
            let (round, Some(planned)) = (round as u32, planned) else { return pushes };
            let due = started + Duration::from_secs(1) * round + planned.due;
            if done.load(Ordering::Relaxed) && due >= started + least {
                return pushes;
            }
            wait_until(due);
            let request = planned.requests.iter().cycle().nth(round as usize % planned.requests.len());
            pushes.extend(request.map(|request| (planned.stream, push(&mut connection, port, request))));
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let stop = StopOnDrop(&done);
        let made = meanwhile();
        drop(stop);
        let pushes: Vec<_> =
            clients.into_iter().flat_map(|client| client.join().expect("a client ends when it is stopped")).collect();
        let of = |stream| pushes.iter().filter(|(of, _)| *of == stream).map(|(_, push)| push.clone()).collect();
        ((0..streams.len()).map(of).collect(), made)
    })
}

/// Also when the test fails in the middle: the clients would else go on for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn push(connection: &mut Option<Connection>, port: u16, request: &Request) -> Push {
    let started = Instant::now();
    let status = exchange(connection, port, request).ok().map(|response| response.status);
    Push { started, answered: Instant::now(), status }
}
