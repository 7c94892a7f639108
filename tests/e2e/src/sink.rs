//! Stands where Mimir would: answers 200 as Mimir does and keeps what reached it.

use std::sync::{Arc, Mutex, PoisonError};

use limits::TenantLimits;
use remote_write::{BodyLimits, ContentType, Protocol, PushCounts, Scratch, Validation, content_type, read_push};

use crate::http1::{Headers, ReceivedRequest};
use crate::server::{Answer, Server};

/// A request that reached the sink.
#[derive(Debug)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, without its framing; empty if the sink keeps none.
    pub body: Vec<u8>,
}

impl Arrival {
    /// What the push holds.
    ///
    /// # Panics
    /// When it is no readable push.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        counts(self.protocol(), &self.body).unwrap_or_else(|error| panic!("the sink got an unreadable push: {error}"))
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

    /// Mimir says what it took of a 2.0 push; a Prometheus that is not told takes the push for failed.
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
    // No sample is too far in the future of the end of time.
    read_push(protocol, body, limits, &validation, i64::MAX, &mut Scratch::default())
}

/// What a sink does with the bodies that reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    Keep,
    Forget,
}

/// The sink. It goes on until it is dropped.
#[derive(Debug)]
pub struct Sink {
    server: Server,
    arrivals: Arc<Mutex<Vec<Arc<Arrival>>>>,
}

impl Sink {
    /// Starts a sink on a free loopback port.
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
            let mut arrival = Arrival { method, target, headers, body };
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

    /// Everything that arrived so far, in the order of arrival.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arc<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What arrived of a tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Vec<Arc<Arrival>> {
        self.arrivals().into_iter().filter(|arrival| arrival.is_of(tenant)).collect()
    }
}
