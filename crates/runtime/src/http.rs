//! The HTTP side of a server: `/metrics` for Prometheus, `/live` and `/ready` for probes, and whatever routes a server adds.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Phase, Readiness};

/// An HTTP listener that is bound but does not serve yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Binds `address`; port 0 takes a free port.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen for HTTP on {address}"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that is bound, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` until `stop` is cancelled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, routes: Router, stop: CancellationToken) -> anyhow::Result<()> {
        // An answer that leaves in several pieces must not wait for the reader's delayed acknowledgement of the first, some 40 ms.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!("a connection keeps its delay: {error}");
            }
        });
        axum::serve(listener, routes)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
            .context("the HTTP side stopped")
    }
}

/// `/metrics`, `/live` (200 as long as the process runs) and `/ready` (200 only in [`Phase::Ready`]).
///
/// `refresh` runs before each scrape, for gauges that are cheaper to compute when asked for.
pub fn observability_routes(
    registry: Registry,
    readiness: Readiness,
    refresh: impl Fn() + Clone + Send + Sync + 'static,
) -> Router {
    let metrics = move || async move {
        refresh();
        render_metrics(&registry)
    };
    let ready = move || async move { ready_answer(readiness.phase()) };
    Router::new().route("/metrics", get(metrics)).route("/live", get(|| async { "live\n" })).route("/ready", get(ready))
}

fn render_metrics(registry: &Registry) -> axum::response::Response {
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be rendered: {error}\n")).into_response()
        }
    }
}

fn ready_answer(phase: Phase) -> (StatusCode, &'static str) {
    match phase {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting: no limits were loaded yet\n"),
        Phase::Ready => (StatusCode::OK, "ready\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_follows_the_phase() {
        assert_eq!(ready_answer(Phase::Starting).0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ready_answer(Phase::Ready).0, StatusCode::OK);
        assert_eq!(ready_answer(Phase::Draining).0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn serves_metrics_and_probes_until_stopped() -> anyhow::Result<()> {
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("edge_test_total", "A counter")?;
        registry.register(Box::new(counter.clone()))?;
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let server = HttpServer::bind(([127, 0, 0, 1], 0).into()).await?;
        let base = format!("http://{}", server.address());
        let routes = observability_routes(registry, readiness.clone(), move || counter.inc());
        let serving = tokio::spawn(server.serve(routes, stop.clone()));

        assert_eq!(reqwest::get(format!("{base}/live")).await?.status(), 200);
        assert_eq!(reqwest::get(format!("{base}/ready")).await?.status(), 503);
        readiness.set_ready();
        assert_eq!(reqwest::get(format!("{base}/ready")).await?.status(), 200);
        assert!(reqwest::get(format!("{base}/metrics")).await?.text().await?.contains("edge_test_total 1"));
        assert_eq!(reqwest::get(format!("{base}/nothing")).await?.status(), 404);

        stop.cancel();
        serving.await?
    }
}
