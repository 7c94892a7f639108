//! What stands in front of the edge: where it sends pushes, and clients that push through it while it changes.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::http1::{Connection, Request, Response};
use crate::load::{Clients, exchange};
use crate::push::push_request;
use crate::wait::{until, wait_until};

/// The header with which a push of a [`FrontLoad`] is known again.
pub const PUSH_ID: &str = "x-e2e-push";

const FIRST_TIMESTAMP_MS: i64 = 1_750_000_000_000;

/// The ports behind a front.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Mimir's distributors, for pushes.
    pub mimir: u16,
    /// Mimir's gateway, for everything else.
    pub queries: u16,
    /// Envoy.
    pub envoy: u16,
}

/// An answer without the header lines that are of one connection or one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    status: u16,
    body: Vec<u8>,
    headers: BTreeMap<String, Vec<Vec<u8>>>,
}

impl From<&Response> for Told {
    fn from(answer: &Response) -> Self {
        const OF_THE_MOMENT: [&str; 6] =
            ["date", "server", "connection", "transfer-encoding", "content-length", "retry-after"];
        let names = answer.headers.names().filter(|name| !OF_THE_MOMENT.contains(name));
        let headers = names.map(|name| (name.to_owned(), answer.headers.all(name).map(<[u8]>::to_vec).collect()));
        Self { status: answer.status, body: answer.body.clone(), headers: headers.collect() }
    }
}

/// The texts with every value in its place; each place has to be in one of them at least.
pub(crate) fn substituted(what: &str, mut texts: Vec<String>, values: &[(&str, String)]) -> Vec<String> {
    for (place, value) in values {
        assert!(texts.iter().any(|text| text.contains(place)), "{what} has no {place}");
        for text in &mut texts {
            *text = text.replace(place, value);
        }
    }
    texts
}

/// One client of a load: it sends its next push when the last one was answered, and not sooner than its pace allows.
#[derive(Clone, Debug)]
pub struct FrontClient {
    /// Whose pushes.
    pub tenant: String,
    /// Samples in each.
    pub samples: usize,
    /// From one push to the next; a push that is late is sent at once.
    pub every: Duration,
    /// Its push of a number, if it is not one of samples; the client has a number too.
    pub request: Option<fn(usize, u32) -> Request>,
}

impl FrontClient {
    /// A client of this tenant.
    #[must_use]
    pub fn new(tenant: &str, samples: usize, every: Duration) -> Self {
        Self { tenant: tenant.to_owned(), samples, every, request: None }
    }

    /// A client whose pushes are no samples that Mimir takes; it goes by this name.
    #[must_use]
    pub fn of_requests(name: &str, every: Duration, request: fn(usize, u32) -> Request) -> Self {
        Self { request: Some(request), ..Self::new(name, 0, every) }
    }

    /// Its push of this number: no two pushes of a load have a sample in common, so that one that is ingested twice shows.
    fn push(&self, client: usize, number: u32) -> Request {
        if let Some(request) = self.request {
            return request(client, number);
        }
        let name = client.to_string();
        let mut series = Series::sample(&[("__name__", "e2e_front"), ("client", &name)], 0.0, 0);
        let first = FIRST_TIMESTAMP_MS + i64::from(number) * self.samples as i64;
        series.samples = (first..).take(self.samples).map(|time| (f64::from(number), time)).collect();
        let body = encode_push(Protocol::V1, &[series], &[]).expect("a test's push is below 4 GiB");
        push_request(&self.tenant, &body).header(PUSH_ID, format!("{client}-{number}"))
    }
}

/// A push that was answered.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its [`PUSH_ID`].
    pub id: String,
    /// Its number among those of its client.
    pub number: u32,
    /// Whose it is.
    pub tenant: String,
    /// Samples in it.
    pub samples: usize,
    /// When it was begun.
    pub started: Instant,
    /// Until its answer was there.
    pub took: Duration,
    /// The answer.
    pub answer: Response,
}

/// What a load saw.
#[derive(Clone, Debug, Default)]
pub struct FrontTally {
    /// Pushes with an answer, in the order of the answers.
    pub pushed: Vec<Pushed>,
    /// Pushes without one.
    pub errors: Vec<String>,
    /// Pushes that met a kept-alive connection that was being closed, and were repeated on a new one.
    pub repeated: usize,
}

impl FrontTally {
    /// The pushes of a tenant that had this answer.
    pub fn of(&self, tenant: &str, status: u16) -> impl Iterator<Item = &Pushed> {
        self.pushed.iter().filter(move |push| push.tenant == tenant && push.answer.status == status)
    }

    /// The samples of a tenant's pushes that were answered with 200.
    #[must_use]
    pub fn accepted(&self, tenant: &str) -> usize {
        self.of(tenant, 200).map(|push| push.samples).sum()
    }

    /// The pushes with another status than these.
    #[must_use]
    pub fn other_than(&self, statuses: &[u16]) -> Vec<&Pushed> {
        self.pushed.iter().filter(|push| !statuses.contains(&push.answer.status)).collect()
    }

    /// The longest time to an answer.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.pushed.iter().map(|push| push.took).max().unwrap_or_default()
    }
}

/// A running load; dropping it stops it.
#[derive(Debug)]
pub struct FrontLoad {
    clients: Clients<FrontTally>,
}

impl FrontLoad {
    /// Starts the clients.
    #[must_use]
    pub fn start(port: u16, clients: Vec<FrontClient>) -> Self {
        let clients = clients.into_iter().enumerate().map(|(index, client)| {
            move |tally: &Mutex<FrontTally>, stopping: &AtomicBool| run(port, index, &client, tally, stopping)
        });
        Self { clients: Clients::start(clients) }
    }

    /// Pushes that were answered so far.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.clients.seen(|tally| tally.pushed.len())
    }

    /// Waits until so many more pushes were answered.
    ///
    /// # Panics
    /// When they were not.
    #[track_caller]
    pub fn wait_for_more(&self, answers: usize) {
        let before = self.answers();
        until("the load gets more answers", || self.answers() >= before + answers);
    }

    /// What was seen so far.
    #[must_use]
    pub fn tally(&self) -> FrontTally {
        self.clients.seen(FrontTally::clone)
    }

    /// Lets each client finish its push, and says what they saw.
    #[must_use]
    pub fn stop(mut self) -> FrontTally {
        self.clients.stop();
        self.tally()
    }
}

fn run(port: u16, index: usize, client: &FrontClient, tally: &Mutex<FrontTally>, stopping: &AtomicBool) {
    let (mut connection, begun) = (None, Instant::now());
    for number in 0.. {
        wait_until(begun + client.every * number);
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let request = client.push(index, number);
        let started = Instant::now();
        let (answer, repeated) = exchange_repeating(&mut connection, port, &request);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.repeated += usize::from(repeated);
        match answer {
            Ok(answer) => tally.pushed.push(Pushed {
                id: format!("{index}-{number}"),
                number,
                tenant: client.tenant.clone(),
                samples: client.samples,
                started,
                took: started.elapsed(),
                answer,
            }),
            Err(error) => tally.errors.push(format!("push {index}-{number}: {error}")),
        }
    }
}

/// Sends a push on a connection that is kept for the next one; one that meets a kept connection that is being closed is sent once more on a new one,
/// and it is said that it was. Prometheus does so too: its HTTP client if it had sent nothing yet, else its queue.
pub(crate) fn exchange_repeating(
    kept: &mut Option<Connection>,
    port: u16,
    request: &Request,
) -> (io::Result<Response>, bool) {
    let was_kept = kept.is_some();
    match exchange(kept, port, request) {
        Err(error) if was_kept && is_of_a_closed_connection(&error) => (exchange(kept, port, request), true),
        answer => (answer, false),
    }
}

fn is_of_a_closed_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
