//! The layer before the ext_authz service: it reserves the bytes of a call's message before any of it is buffered.
//!
//! The length of a message stands in its first five bytes. A message that is too large, or for which the budget has no room, gets its refusal
//! from here and is never held; a refusal is an answer, since an Envoy that fails open takes an error for "allow". Invariant: whatever the
//! service behind this layer buffers of a call is reserved as long as the call lasts.

mod answer;
mod budget;
mod message;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use enforce::{Decision, Denial, DenyReason};
use http::{HeaderMap, HeaderValue, Request, Response};
use limits::{Mode, Tenant};
use tonic::body::Body;
use tonic::server::NamedService;
use tower::{Layer, Service};

pub(crate) use budget::{Budget, SHARES};

use budget::{Full, Reservation};
use message::{FirstMessage, Start};

use crate::config::BodyPolicy;
use crate::decide::{Verdict, body_too_large};
use crate::envoy::{TENANT_HEADER, answer};
use crate::metrics::Metrics;

/// The mode of a tenant; of `None`, that of pushes whose tenant is not known.
pub(crate) type ModeOf = Arc<dyn Fn(Option<&Tenant<'_>>) -> Mode + Send + Sync>;

/// The layer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission {
    budget: Arc<Budget>,
    bodies: BodyPolicy,
    mode_of: ModeOf,
    metrics: Metrics,
}

impl Admission {
    /// Admits messages up to [`BodyPolicy::largest_message`] as long as `budget` has room.
    pub(crate) fn new(budget: Arc<Budget>, bodies: BodyPolicy, mode_of: ModeOf, metrics: Metrics) -> Self {
        Self { budget, bodies, mode_of, metrics }
    }

    /// The largest message that is admitted, in bytes.
    pub(crate) fn largest_message(&self) -> usize {
        self.bodies.largest_message()
    }

    /// Reserves what the call holds already, then what its message will need; `Err` is the refusal.
    async fn admit(&self, tenant: Option<&str>, headers: usize, body: &mut Body) -> Result<(Reservation, Start), Stop> {
        let budget = &self.budget;
        let mut reservation = budget.reserve(tenant, headers).map_err(|full| overloaded(full, budget))?;
        let start = Start::read(body).await.map_err(Stop::Broken)?;
        if let Some(length) = start.message_length() {
            if length > self.largest_message() {
                let size = format!("comes in a message of {length} bytes");
                return Err(body_too_large(&size, self.bodies.max_request_bytes).into());
            }
            // A share always holds the largest message; the headers around it must not make it one that never passes.
            let needed = length.min(budget.share().saturating_sub(headers));
            reservation.grow(needed).map_err(|full| overloaded(full, budget))?;
        }
        Ok((reservation, start))
    }

    /// The answer to a push that is not read. What is still on its way is discarded: to reset the call instead would cost one reset more for
    /// each frame that follows it, and a peer that sends on is told by flow control, not by an error.
    fn refuse(&self, denial: Denial, tenant: Option<&Tenant<'_>>, body: Body, started: Instant) -> Response<Body> {
        let mut verdict = Verdict::new((self.mode_of)(tenant));
        verdict.decision = Decision::Deny(denial);
        tokio::spawn(message::discard(body));
        let response = answer::grpc(&answer(&verdict, 0, rand::random()));
        self.metrics.record(&verdict, started.elapsed());
        response
    }
}

impl<S> Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { inner, admission: self.clone() }
    }
}

/// A service that gets only what was admitted.
#[derive(Clone)]
pub(crate) struct Admitted<S> {
    inner: S,
    admission: Admission,
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Admitted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let admission = self.admission.clone();
        Box::pin(async move {
            let started = Instant::now();
            let (parts, mut body) = request.into_parts();
            let header = tenant_header(&parts.headers);
            let tenant = header.as_ref().and_then(|value| Tenant::parse(Some(value.as_bytes())).ok());
            let id = tenant.as_ref().map(Tenant::id);
            match admission.admit(id, size_of(&parts.headers), &mut body).await {
                Ok((reservation, start)) => {
                    let body = Body::new(FirstMessage::new(start, body));
                    let response = ready.call(Request::from_parts(parts, body)).await;
                    drop(reservation);
                    response
                }
                Err(Stop::Denied(denial)) => Ok(admission.refuse(denial, tenant.as_ref(), body, started)),
                Err(Stop::Broken(status)) => Ok(status.into_http()),
            }
        })
    }
}

/// Why a call gets no further.
enum Stop {
    Denied(Denial),
    /// Its body ended in an error.
    Broken(tonic::Status),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// The tenant as the call's metadata say it; one that is there twice is nobody's.
fn tenant_header(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TENANT_HEADER).iter();
    values.next().filter(|_| values.next().is_none()).cloned()
}

/// What headers count as, by the rule of HTTP/2 (RFC 9113, 6.5.2).
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(32)).sum()
}

fn overloaded(full: Full, budget: &Budget) -> Denial {
    let full = match full {
        Full::Share => format!(
            "what the edge reads of its tenant at this moment fills the tenant's share of {} bytes",
            budget.share()
        ),
        Full::Edge => format!("what the edge reads at this moment fills its {} bytes", budget.limit()),
    };
    let message = format!(
        "the push has been rejected because {full} (err-edge-overloaded). The same push passes when others are done, so retry it. \
         To adjust the limit, configure --max-in-flight-bytes, or contact your service administrator."
    );
    Denial::new(DenyReason::EdgeOverloaded, message)
}
