//! Counts the gRPC calls in flight, from their headers on, and those that end in an error.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio_util::task::TaskTracker;
use tonic::Status;
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// A layer around all services of the server.
#[derive(Clone)]
pub(super) struct Calls {
    in_flight: TaskTracker,
    metrics: Metrics,
}

impl Calls {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { in_flight: TaskTracker::new(), metrics }
    }

    /// Waits until no call is in flight.
    pub(super) async fn ended(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
    }
}

impl<S> Layer<S> for Calls {
    type Service = CountedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountedService { inner, calls: self.clone() }
    }
}

/// A service with counted calls.
#[derive(Clone)]
pub(super) struct CountedService<S> {
    inner: S,
    calls: Calls,
}

impl<S, Q, R> Service<Request<Q>> for CountedService<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let token = self.calls.in_flight.token();
        let metrics = self.calls.metrics.clone();
        let call = self.inner.call(request);
        Box::pin(async move {
            let response = call.await?;
            if let Some(status) = Status::from_header_map(response.headers()) {
                metrics.call_failed(status.code());
            }
            drop(token);
            Ok(response)
        })
    }
}
