//! An upstream in place of Mimir: it answers 200 as Mimir does, and keeps the requests that reach it.

use std::sync::{Arc, Mutex, PoisonError};

use limits::TenantLimits;
use remote_write::{BodyLimits, ContentType, Protocol, PushCounts, Scratch, Validation, content_type, read_push};

use crate::http1::{Headers, ReceivedRequest};
use crate::server::{Answer, Server};

/// A request that reached an [`Upstream`].
#[derive(Debug)]
pub struct UpstreamRequest {
    /// The method.
    pub method: String,
    /// Path and query, as received.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, without its framing; empty if the upstream keeps none.
    pub body: Vec<u8>,
}

impl UpstreamRequest {
    /// Counts what the push holds.
    ///
    /// # Panics
    /// When it cannot be decoded as a push.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        counts(self.protocol(), &self.body)
            .unwrap_or_else(|error| panic!("the upstream got a push that cannot be decoded: {error}"))
    }

    fn protocol(&self) -> Protocol {
        match content_type(self.headers.all("content-type").next()) {
            ContentType::Known(protocol) => protocol,
            ContentType::Unknown => Protocol::V1,
        }
    }

    fn is_of(&self, tenant: &str) -> bool {
        self.headers.get("x-scope-orgid").as_deref() == Some(tenant)
    }

    /// Mimir reports what it accepted of a 2.0 push; without these headers Prometheus treats the push as failed.
    fn answer(&self) -> Answer {
        let mut headers = Vec::new();
        if self.protocol() == Protocol::V2
            && let Ok(counts) = counts(Protocol::V2, &self.body)
        {
            headers.push(("X-Prometheus-Remote-Write-Samples-Written", counts.sent.samples.to_string()));
            headers.push(("X-Prometheus-Remote-Write-Histograms-Written", counts.sent.histograms.to_string()));
            headers.push(("X-Prometheus-Remote-Write-Exemplars-Written", counts.sent.exemplars.to_string()));
        }
        (headers, Vec::new())
    }
}

fn counts(protocol: Protocol, body: &[u8]) -> Result<PushCounts, remote_write::BodyError> {
    let limits = BodyLimits { max_decoded_bytes: 100 << 20 };
    let validation = Validation::new(&TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() });
    // With the latest time as now, no sample is too far in the future.
    read_push(protocol, body, limits, &validation, i64::MAX, &mut Scratch::default())
}

/// What an upstream does with the bodies that reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    Keep,
    Forget,
}

/// The upstream. It runs until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    arrivals: Arc<Mutex<Vec<Arc<UpstreamRequest>>>>,
}

impl Upstream {
    /// Starts one on a free loopback port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Bodies::Keep)
    }

    pub(crate) fn start_with(bodies: Bodies) -> Self {
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let (noted, keep) = (Arc::clone(&arrivals), bodies == Bodies::Keep);
        let server = Server::start(move |request| {
            let ReceivedRequest { method, target, headers, body } = request;
            let mut arrival = UpstreamRequest { method, target, headers, body };
            let answer = arrival.answer();
            if !keep {
                arrival.body = Vec::new();
            }
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(arrival));
            answer
        });
        Self { server, arrivals }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// All requests so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<UpstreamRequest>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests of a tenant so far.
    #[must_use]
    pub fn requests_of(&self, tenant: &str) -> Vec<Arc<UpstreamRequest>> {
        self.requests().into_iter().filter(|arrival| arrival.is_of(tenant)).collect()
    }
}
