//! The layer in front of the services that Envoy calls: it reserves the bytes of a call's message before the service buffers them.
//!
//! The length of a message is in its first five bytes. A message that is too large is denied here and never buffered. So is the rest of one for which the
//! budget has no room as it arrives, of one that stalls while others need its room, and of one that does not arrive before its caller's timeout.
//! A denial is an answer, since an Envoy that fails open takes an error for "allow".
//! Invariant: all that the service buffers of a call is reserved as long as the call lasts. A body still being decoded after its call has ended is
//! not reserved here; the decoding thread has reserved more than that.

mod answer;
mod deadline;
mod message;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use enforce::Denial;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use limits::Tenant;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::{Layer, Service};

pub(crate) use answer::{Deny, DenyCheck, DenyRateLimit};
pub(crate) use deadline::MAX_CALL_TIMEOUT;

use deadline::answer_timeout;
use message::{FirstMessage, Start};

use edge::{
    Arrival, BodySize, Budget, BudgetExceeded, Overload, TENANT_HEADER, body_too_large, denied_on_panic, overloaded,
};

/// The layer of one service; cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission<R> {
    budget: Arc<Budget>,
    largest: LargestMessage,
    default_tenant: Option<HeaderValue>,
    denials: R,
}

/// The largest message of a service, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargestMessage {
    pub message: usize,
    /// The limit on the body in it, for the text of the denial.
    pub body: usize,
}

impl<R: Deny> Admission<R> {
    /// Admits messages up to `largest` while `budget` has room.
    pub(crate) fn new(budget: Arc<Budget>, largest: LargestMessage, denials: R) -> Self {
        Self { budget, largest, default_tenant: None, denials }
    }

    /// Takes calls without a tenant as calls of this one.
    pub(crate) fn with_default_tenant(self, tenant: Option<&Bytes>) -> Self {
        let default_tenant = tenant.and_then(|tenant| HeaderValue::from_bytes(tenant).ok());
        Self { default_tenant, ..self }
    }

    /// Calls `service` with an admitted message, which stays reserved until the response.
    async fn run<S>(
        &self,
        service: &mut S,
        tenant: Option<&Tenant<'_>>,
        parts: Parts,
        body: Body,
    ) -> Result<Response<Body>, Stop>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let arrival = Arrival::begin(&self.budget, tenant.map(Tenant::id), size_of(&parts.headers));
        let arrival = Arc::new(arrival.map_err(|which| self.exceeded(which))?);
        tokio::select! {
            biased;
            response = self.receive(service, &arrival, parts, body) => response,
            () = arrival.stalls() => Err(Stop::Denied(overloaded(Overload::Stalled))),
        }
    }

    async fn receive<S>(
        &self,
        service: &mut S,
        arrival: &Arc<Arrival>,
        parts: Parts,
        mut body: Body,
    ) -> Result<Response<Body>, Stop>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let start = Start::read(&mut body).await.map_err(Stop::Broken)?;
        if let Some(length) = start.message_length().filter(|length| *length > self.largest.message) {
            return Err(Stop::Denied(body_too_large(BodySize::InMessageOf(length), self.largest.body)));
        }
        let (exceeded, over) = oneshot::channel();
        let body = Body::new(FirstMessage::new(start, body, Arc::clone(arrival), exceeded));
        tokio::select! {
            biased;
            Ok(which) = over => Err(self.exceeded(which)),
            response = service.call(Request::from_parts(parts, body)) => match response {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
        }
    }

    fn exceeded(&self, which: BudgetExceeded) -> Stop {
        Stop::Denied(overloaded(match which {
            BudgetExceeded::Tenant => Overload::TenantShare(self.budget.share()),
            BudgetExceeded::Global => Overload::Budget(self.budget.limit()),
        }))
    }
}

impl<S, R: Clone> Layer<S> for Admission<R> {
    type Service = Admitted<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { inner, admission: self.clone() }
    }
}

/// A service that gets only admitted calls.
#[derive(Clone)]
pub(crate) struct Admitted<S, R> {
    inner: S,
    admission: Admission<R>,
}

impl<S: NamedService, R> NamedService for Admitted<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R> Service<Request<Body>> for Admitted<S, R>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    R: Deny + Clone + Send + Sync + 'static,
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
            let (parts, body) = request.into_parts();
            let header = tenant_header(&parts.headers, admission.default_tenant.as_ref());
            let tenant = header.as_ref().and_then(|value| Tenant::parse(Some(once(value.as_bytes()))).ok());
            let within = answer_timeout(&parts.headers);
            let call = admission.run(&mut ready, tenant.as_ref(), parts, body);
            let stop = match timeout(within, denied_on_panic(call)).await {
                Ok(Ok(Ok(response))) => return Ok(response),
                Ok(Ok(Err(stop))) => stop,
                Ok(Err(denial)) => Stop::Denied(denial),
                Err(_) => Stop::Denied(overloaded(Overload::TooSlow(within))),
            };
            Ok(match stop {
                // The body is dropped, so HTTP/2 resets the call after the answer, and the proxy stops sending: receiving the rest would take
                // bandwidth and time from admitted calls.
                Stop::Denied(denial) => admission.denials.deny(tenant.as_ref(), denial, started),
                Stop::Broken(status) => status.into_http(),
            })
        })
    }
}

/// Why a call does not reach its service.
enum Stop {
    Denied(Denial),
    /// Its body ended in an error.
    Broken(tonic::Status),
}

/// What Envoy sends as the tenant of a push that has none.
const NO_TENANT: &str = "-";

/// The tenant in the call's metadata; `None` if it is there twice.
fn tenant_header(headers: &HeaderMap, default: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut values = headers.get_all(TENANT_HEADER).iter();
    match (values.next(), default) {
        (None, default) => default.cloned(),
        (Some(value), Some(default)) if value == NO_TENANT => Some(default.clone()),
        (Some(value), _) => Some(value).filter(|_| values.next().is_none()).cloned(),
    }
}

/// The value of a header that Envoy joined with commas, if it was sent several times with that one value. No tenant has a comma.
fn once(joined: &[u8]) -> &[u8] {
    let mut values = joined.split(|byte| *byte == b',');
    values.next().filter(|first| values.all(|value| value == *first)).unwrap_or(joined)
}

/// The size of headers by the rule of HTTP/2 (RFC 9113, 6.5.2).
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(32)).sum()
}
