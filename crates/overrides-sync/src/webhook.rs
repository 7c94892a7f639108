//! The validating admission webhook for the ConfigMap, which shows the author of a change its problems.
//!
//! It allows what it cannot review, with a warning. The cost of a request is bounded before it is read.

mod admission;
mod review;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use runtime::{ConnectionCounts, HttpBounds, HttpServer, Tls, UnreadBounds};
use tasks::Tasks;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::metrics::Metrics;
use admission::{ReviewOutcome, ReviewResponse, Reviewed};
pub(crate) use review::Rules;

/// For API servers.
const BOUNDS: HttpBounds = HttpBounds {
    connections: 64,
    handshake_within: Duration::from_secs(2),
    head_within: Duration::from_secs(30),
    max_head_bytes: 16 * 1024,
    unread: UnreadBounds { within: Duration::from_secs(10), connections: 32 },
};
/// The largest request: a ConfigMap has at most 1 MiB, a request has the old and the new one, and JSON can be longer.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// Requests at once, from their first byte on. Each takes up to [`MAX_BODY_BYTES`].
const MAX_REQUESTS: usize = 8;
/// How long a request may wait for a permit, and how long it may take to arrive. Kubernetes waits 2 s in all.
const ARRIVED_WITHIN: Duration = Duration::from_secs(1);
/// How long the review may take.
const REVIEWED_WITHIN: Duration = Duration::from_millis(1_500);

/// A webhook that is bound but does not serve yet.
pub(crate) struct Webhook {
    server: HttpServer,
    handler: Arc<ReviewHandler>,
}

/// Handles reviews.
struct ReviewHandler {
    rules: Rules,
    permits: Arc<Semaphore>,
    metrics: Metrics,
}

impl Webhook {
    /// Binds `address`, where port 0 takes a free port.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn bind(
        address: SocketAddr,
        tls: Tls,
        rules: Rules,
        metrics: Metrics,
        closed: ConnectionCounts,
    ) -> anyhow::Result<Self> {
        let server = HttpServer::bind("the webhook", address, closed)?.with_tls(Some(tls));
        let permits = Arc::new(Semaphore::new(MAX_REQUESTS));
        Ok(Self { server, handler: Arc::new(ReviewHandler { rules, permits, metrics }) })
    }

    /// The address that is bound, with the port that was taken.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Serves until `tasks` are stopped, and then finishes the requests in flight. Reloads the certificate when its files change.
    pub(crate) async fn serve(self, tasks: Tasks) {
        let routes = Router::new().route("/validate", post(validate)).with_state(self.handler);
        self.server.serve_with(BOUNDS, routes, tasks).await;
    }
}

async fn validate(State(handler): State<Arc<ReviewHandler>>, body: Body) -> Response {
    match handler.respond(body).await {
        Ok(response) => Json(response).into_response(),
        Err((status, error)) => {
            handler.metrics.reviews.with_label_values(&["rejected"]).inc();
            tracing::warn!(%status, "a request to the webhook failed: {error}");
            (status, error).into_response()
        }
    }
}

impl ReviewHandler {
    async fn respond(self: &Arc<Self>, body: Body) -> Result<ReviewResponse, (StatusCode, String)> {
        if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("it has more than {MAX_BODY_BYTES} bytes")));
        }
        let busy = || (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once".to_owned());
        let permit = timeout(ARRIVED_WITHIN, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let request = timeout(ARRIVED_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await;
        let request = request
            .map_err(|_| (StatusCode::REQUEST_TIMEOUT, format!("it did not arrive within {ARRIVED_WITHIN:?}")))?
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("it cannot be read: {error}")))?;
        let reviewed = timeout(REVIEWED_WITHIN, Arc::clone(self).review(request.clone(), permit)).await;
        let why = match reviewed {
            Ok(Ok(Ok((response, outcome)))) => {
                self.metrics.reviews.with_label_values(&[outcome.as_str()]).inc();
                return Ok(response);
            }
            Ok(Ok(Err(error))) => return Err((StatusCode::BAD_REQUEST, error)),
            Ok(Err(_)) => "overrides-sync failed".to_owned(),
            Err(_) => format!("it takes longer than {REVIEWED_WITHIN:?}"),
        };
        self.metrics.reviews.with_label_values(&[ReviewOutcome::NotReviewed.as_str()]).inc();
        admission::respond_not_reviewed(&request, &why).map_err(|error| (StatusCode::BAD_REQUEST, error))
    }

    /// The review holds its permit until it is done, even after its timeout.
    fn review(self: Arc<Self>, request: Bytes, permit: OwnedSemaphorePermit) -> JoinHandle<Reviewed> {
        tokio::task::spawn_blocking(move || {
            let reviewed = admission::respond(&self.rules, &request);
            drop(permit);
            reviewed
        })
    }
}

#[cfg(test)]
mod tests;
