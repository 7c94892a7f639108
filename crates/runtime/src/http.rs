//! The HTTP side of a server: `/metrics` for Prometheus, `/live` and `/ready` for probes, and the routes that a server adds.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus::{Registry, TEXT_FORMAT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::rendering::Rendering;
use crate::{Phase, Readiness};

/// When the process is out of file descriptors, the next attempt fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// For scrapers, probes and operators; the pause between two scrapes is long.
const BOUNDS: HttpBounds =
    HttpBounds { connections: 1_000, head_within: Duration::from_secs(120), max_head_bytes: 400 * 1024 };

/// Bounds of an HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct HttpBounds {
    /// Connections at once. Further ones are closed.
    pub connections: usize,
    /// How long a connection may take to send a request's head, the pause before it included.
    pub head_within: Duration,
    /// The largest head of a request.
    pub max_head_bytes: usize,
}

/// An HTTP listener that is bound but does not serve yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds `address`; port 0 takes a free port. Returns the address with that port. `what` is for the error: what the listener is for.
///
/// # Errors
/// The address cannot be bound.
pub async fn listen(what: &str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen for {what} on {address}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl HttpServer {
    /// Binds `address`; port 0 takes a free port. `what` is for the error: what the server is for.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<Self> {
        let (listener, address) = listen(what, address).await?;
        Ok(Self { listener, address })
    }

    /// The bound address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` until `stop` is cancelled, and then finishes the requests in flight.
    pub async fn serve(self, routes: Router, stop: CancellationToken) {
        self.serve_with(BOUNDS, |stream| ready(Ok(stream)), routes, stop).await;
    }

    /// The same with other bounds, and with a handshake such as TLS on each connection.
    pub async fn serve_with<S, H>(
        self,
        bounds: HttpBounds,
        mut handshake: impl FnMut(TcpStream) -> H,
        routes: Router,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Future<Output = io::Result<S>> + Send + 'static,
    {
        let (free, open) = (Arc::new(Semaphore::new(bounds.connections)), GracefulShutdown::new());
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(bounds.head_within).max_buf_size(bounds.max_head_bytes);
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("an HTTP connection cannot be accepted: {error}");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else { continue };
            // A response in several segments must not wait some 40 ms for the peer's delayed acknowledgement of the first.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("a connection keeps its delay: {error}");
            }
            let (handshake, protocol, routes, watcher) =
                (handshake(stream), protocol.clone(), routes.clone(), open.watcher());
            tokio::spawn(async move {
                let connection = async {
                    let stream = handshake.await?;
                    let service = TowerToHyperService::new(routes);
                    watcher.watch(protocol.serve_connection(TokioIo::new(stream), service)).await?;
                    anyhow::Ok(())
                };
                if let Err(error) = connection.await {
                    tracing::debug!("an HTTP connection ended: {error}");
                }
                drop(permit);
            });
        }
        open.shutdown().await;
    }
}

/// `/metrics`, `/live` (200 as long as the process runs) and `/ready` (200 only in [`Phase::Ready`]).
pub fn observability_routes(registry: Registry, readiness: Readiness) -> Router {
    let rendering = Rendering::new(registry);
    let metrics = move || async move { metrics_answer(rendering.text().await) };
    let ready = move || async move { ready_answer(readiness.phase()) };
    Router::new().route("/metrics", get(metrics)).route("/live", get(|| async { "live\n" })).route("/ready", get(ready))
}

fn metrics_answer(text: Result<Bytes, String>) -> axum::response::Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::counter_at_scrape;
    use crate::testing::get;

    #[test]
    fn ready_follows_the_phase() {
        assert_eq!(ready_answer(Phase::Starting).0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ready_answer(Phase::Ready).0, StatusCode::OK);
        assert_eq!(ready_answer(Phase::Draining).0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn serves_metrics_and_probes_until_stopped() -> anyhow::Result<()> {
        let registry = Registry::new();
        counter_at_scrape(&registry, "edge_test_total", "A counter", || 1)?;
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let server = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into()).await?;
        let base = format!("http://{}", server.address());
        let routes = observability_routes(registry, readiness.clone());
        let serving = tokio::spawn(server.serve(routes, stop.clone()));

        let get = async |path: &str| get(format!("{base}{path}")).await;
        assert_eq!(get("/live").await?.0, 200);
        assert_eq!(get("/ready").await?.0, 503);
        readiness.set_ready();
        assert_eq!(get("/ready").await?.0, 200);
        let (_, metrics) = get("/metrics").await?;
        assert!(String::from_utf8_lossy(&metrics).contains("edge_test_total 1"));
        assert_eq!(get("/nothing").await?.0, 404);

        stop.cancel();
        serving.await?;
        Ok(())
    }

    #[tokio::test]
    async fn silent_connections_are_bounded_and_leave_room_for_others() -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let server = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into()).await?;
        let address = server.address();
        let routes = observability_routes(Registry::new(), Readiness::default());
        let serving = tokio::spawn(server.serve(routes, stop.clone()));
        let mut silent = Vec::new();
        for _ in 1..BOUNDS.connections {
            silent.push(TcpStream::connect(address).await?);
        }
        let (mut last, mut byte) = (TcpStream::connect(address).await?, [0]);
        last.write_all(b"GET /live HTTP/1.1\r\nHost: edge\r\n\r\n").await?;
        assert_eq!(last.read(&mut byte).await?, 1, "it is answered");
        let mut too_many = TcpStream::connect(address).await?;
        assert_eq!(too_many.read(&mut byte).await?, 0, "it is closed");

        stop.cancel();
        drop((silent, last));
        serving.await?;
        Ok(())
    }
}
