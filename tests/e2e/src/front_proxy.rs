//! What the suites of NGINX and HAProxy share: the ports that these proxy to, and clients that push through them while they change.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::dns::DnsServer;
use crate::http1::{Connection, Request, Response};
use crate::load::{Clients, exchange};
use crate::push::push_request;
use crate::wait::{until, wait_until};

mod checks;
mod split;

pub use checks::{check_without_rls, pushes_to_compare, response_through};
pub use split::ProxySplit;

/// The header that identifies a push of a [`ProxyLoad`].
pub const PUSH_ID: &str = "x-e2e-push";

const FIRST_TIMESTAMP_MS: i64 = 1_750_000_000_000;

/// The ports that a proxy in front of the edge sends requests to.
#[derive(Clone, Copy, Debug)]
pub struct ProxyBackends {
    /// Mimir's gateway.
    pub mimir: u16,
    /// Envoy.
    pub envoy: u16,
    /// The DNS server that knows Envoy's name. Without it, the configuration has an address instead of the name.
    pub dns: Option<u16>,
}

/// Envoy's Service, as ops/nginx and ops/haproxy name it.
pub const ENVOY_NAME: &str = "mimir-envoy.mimir-edge-enforcement.svc.cluster.local";
/// The headless Service of Envoy's pods, as ops/haproxy/sticky.cfg names it.
pub const ENVOY_PODS_NAME: &str = "mimir-envoy-pods.mimir-edge-enforcement.svc.cluster.local";

impl ProxyBackends {
    /// A Mimir that takes everything but what goes through the edge.
    #[must_use]
    pub fn new(mimir: u16, envoy: u16) -> Self {
        Self { mimir, envoy, dns: None }
    }

    /// The same with Envoy's name, which this DNS server resolves.
    #[must_use]
    pub fn resolved_by(self, dns: &DnsServer) -> Self {
        Self { dns: Some(dns.port()), ..self }
    }

    /// Envoy's host in a configuration.
    pub(crate) fn host_of_envoy(&self, name: &'static str) -> &'static str {
        if self.dns.is_some() { name } else { "127.0.0.1" }
    }
}

/// Replaces each placeholder by its value; each placeholder has to be in at least one of the texts.
pub(crate) fn substituted(what: &str, mut texts: Vec<String>, values: &[(&str, String)]) -> Vec<String> {
    for (place, value) in values {
        assert!(texts.iter().any(|text| text.contains(place)), "{what} has no {place}");
        for text in &mut texts {
            *text = text.replace(place, value);
        }
    }
    texts
}

/// One client of a load: it sends its next push after the last one was answered, and no faster than its pace allows.
#[derive(Clone, Debug)]
pub struct ProxyClient {
    /// The tenant of its pushes.
    pub tenant: String,
    /// Samples in each push.
    pub samples: usize,
    /// From one push to the next; a push that is late is sent at once.
    pub every: Duration,
    /// Makes the push of a client's and a push's number, if the pushes hold no samples.
    pub request: Option<fn(usize, u32) -> Request>,
}

impl ProxyClient {
    /// A client of this tenant.
    #[must_use]
    pub fn new(tenant: &str, samples: usize, every: Duration) -> Self {
        Self { tenant: tenant.to_owned(), samples, every, request: None }
    }

    /// A client with pushes of its own making, which Mimir rejects; its tenant is only a name.
    #[must_use]
    pub fn of_requests(name: &str, every: Duration, request: fn(usize, u32) -> Request) -> Self {
        Self { request: Some(request), ..Self::new(name, 0, every) }
    }

    /// Its push of this number. No two pushes of a load share a sample, so a push that is ingested twice shows.
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

/// A push with its response.
#[derive(Clone, Debug)]
pub struct AnsweredPush {
    /// Its [`PUSH_ID`].
    pub id: String,
    /// Its number among its client's pushes.
    pub number: u32,
    /// Its tenant.
    pub tenant: String,
    /// Samples in it.
    pub samples: usize,
    /// When the client began to send it.
    pub started: Instant,
    /// From then until the response was read.
    pub took: Duration,
    /// The response.
    pub answer: Response,
}

/// What a load saw.
#[derive(Clone, Debug, Default)]
pub struct ProxyTally {
    /// Pushes with a response, in the order of the responses.
    pub pushed: Vec<AnsweredPush>,
    /// Pushes without a response.
    pub errors: Vec<String>,
    /// Pushes that were repeated on a new connection, because the kept-alive one was being closed.
    pub repeated: usize,
}

impl ProxyTally {
    /// The pushes of a tenant with this status.
    pub fn of(&self, tenant: &str, status: u16) -> impl Iterator<Item = &AnsweredPush> {
        self.pushed.iter().filter(move |push| push.tenant == tenant && push.answer.status == status)
    }

    /// The samples of a tenant's pushes that were answered with 200.
    #[must_use]
    pub fn accepted(&self, tenant: &str) -> usize {
        self.of(tenant, 200).map(|push| push.samples).sum()
    }

    /// The pushes with another status than these.
    #[must_use]
    pub fn other_than(&self, statuses: &[u16]) -> Vec<&AnsweredPush> {
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
pub struct ProxyLoad {
    clients: Clients<ProxyTally>,
}

impl ProxyLoad {
    /// Starts the clients.
    #[must_use]
    pub fn start(port: u16, clients: Vec<ProxyClient>) -> Self {
        let clients = clients.into_iter().enumerate().map(|(index, client)| {
            move |tally: &Mutex<ProxyTally>, stopping: &AtomicBool| run(port, index, &client, tally, stopping)
        });
        Self { clients: Clients::start(clients) }
    }

    /// Pushes that were answered so far.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.clients.seen(|tally| tally.pushed.len())
    }

    /// Waits until this many more pushes were answered.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn wait_for_more(&self, answers: usize) {
        let before = self.answers();
        until("the load gets more answers", || self.answers() >= before + answers);
    }

    /// What was seen so far.
    #[must_use]
    pub fn tally(&self) -> ProxyTally {
        self.clients.seen(ProxyTally::clone)
    }

    /// Lets each client finish its push, and says what they saw.
    #[must_use]
    pub fn stop(mut self) -> ProxyTally {
        self.clients.stop();
        self.tally()
    }
}

fn run(port: u16, index: usize, client: &ProxyClient, tally: &Mutex<ProxyTally>, stopping: &AtomicBool) {
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
            Ok(answer) => tally.pushed.push(AnsweredPush {
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

/// Sends a push on a connection that is kept for the next one. Where a kept connection is being closed, it sends the push once more on a new one, and
/// returns true with the response. Prometheus does the same: its HTTP client if it had sent nothing yet, else its queue.
pub(crate) fn exchange_repeating(
    kept: &mut Option<Connection>,
    port: u16,
    request: &Request,
) -> (io::Result<Response>, bool) {
    let was_kept = kept.is_some();
    match exchange(kept, port, request) {
        Err(error) if was_kept && is_closed_connection(&error) => (exchange(kept, port, request), true),
        answer => (answer, false),
    }
}

fn is_closed_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
