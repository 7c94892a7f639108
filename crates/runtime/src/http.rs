//! The HTTP side of a server: `/metrics` for Prometheus, `/live` and `/ready` for probes, and the routes that a server adds.

use std::net::SocketAddr;
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
use tasks::Tasks;

use crate::rendering::Rendering;
use crate::token::guarded;
use crate::{
    Connection, ConnectionBounds, ConnectionCounts, Connections, Listener, Phase, Readiness, Tls, TokenFile,
    UnreadBounds,
};

/// For scrapers, probes and operators; the pause between two scrapes is long.
const BOUNDS: HttpBounds = HttpBounds {
    connections: 1_000,
    handshake_within: Duration::from_secs(10),
    head_within: Duration::from_secs(120),
    max_head_bytes: 400 * 1024,
    unread: UnreadBounds { within: Duration::from_secs(10), connections: 32 },
};
/// The shortest line of a request, such as `GET / HTTP/1.1`.
const FIRST_BYTES: usize = 14;
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(10);
/// At a round trip of 10 ms, an answer of 1 MB still takes a fraction of a second.
const SEND_BUFFER_BYTES: u32 = 64 << 10;

/// Bounds of an HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct HttpBounds {
    /// Connections at once. When there are more, one that is silent or idle gives way.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake_within: Duration,
    /// How long a connection may take to send a request's head, the pause before it included.
    pub head_within: Duration,
    /// The largest head of a request.
    pub max_head_bytes: usize,
    /// For answers that a client does not read.
    pub unread: UnreadBounds,
}

/// An HTTP listener that is bound but does not serve yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: Listener,
    address: SocketAddr,
    counts: ConnectionCounts,
    tls: Option<Tls>,
    token: Option<TokenFile>,
}

impl HttpServer {
    /// Binds `address`; port 0 takes a free port. `what` is for the error: what the server is for.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(what: &str, address: SocketAddr, counts: ConnectionCounts) -> anyhow::Result<Self> {
        let listener = Listener::bind_with_send_buffer(what, address, SEND_BUFFER_BYTES)?;
        let address = listener.address().tcp().context("no TCP address was bound")?;
        Ok(Self { listener, address, counts, tls: None, token: None })
    }

    /// With `tls`, every connection begins with a handshake.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// With `token`, everything but metrics and probes asks for it.
    #[must_use]
    pub fn with_token(self, token: Option<TokenFile>) -> Self {
        Self { token, ..self }
    }

    /// The bound address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` until `tasks` are stopped, and then finishes the requests in flight. A request that changes something needs the token.
    pub async fn serve(mut self, routes: Router, tasks: Tasks) {
        let token = self.token.as_ref().map(TokenFile::token);
        if let Some(file) = self.token.take() {
            tasks.spawn("token of HTTP", file.follow());
        }
        self.serve_with(BOUNDS, guarded(routes, token), tasks).await;
    }

    /// The same with other bounds, and without asking for a token.
    pub async fn serve_with(self, bounds: HttpBounds, routes: Router, tasks: Tasks) {
        let open = GracefulShutdown::new();
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(bounds.head_within).max_buf_size(bounds.max_head_bytes);
        let mut connections = self.connections(bounds, &tasks);
        while let Some(connection) = tasks.stop().run_until_cancelled(connections.next()).await {
            let (protocol, routes, watcher) = (protocol.clone(), routes.clone(), open.watcher());
            tokio::spawn(async move {
                let service = TowerToHyperService::new(routes);
                let served = protocol.serve_connection(TokioIo::<Connection>::new(connection), service);
                if let Err(error) = watcher.watch(served).await {
                    tracing::debug!("an HTTP connection ended: {error}");
                }
            });
        }
        drop(connections);
        open.shutdown().await;
    }

    fn connections(self, bounds: HttpBounds, tasks: &Tasks) -> Connections {
        let bounds = ConnectionBounds {
            connections: bounds.connections,
            handshake_within: bounds.handshake_within,
            first_bytes: FIRST_BYTES,
            first_bytes_within: FIRST_BYTES_WITHIN.min(bounds.head_within),
            unread: Some(bounds.unread),
        };
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        if let Some(tls) = self.tls {
            tasks.spawn("TLS of HTTP", tls.follow());
        }
        Connections::new(self.listener, acceptor, bounds, self.counts)
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
    use axum::routing::get as get_route;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::testing::get;
    use scrape::counter_at_scrape;

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
        let counts = ConnectionCounts::new(&registry, "edge_closed_total")?;
        let server = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into(), counts)?;
        let base = format!("http://{}", server.address());
        let routes = observability_routes(registry, readiness.clone());
        let serving = tokio::spawn(server.serve(routes, Tasks::new(stop.clone())));

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
    async fn silent_connections_leave_room_for_others() -> anyhow::Result<()> {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let counts = ConnectionCounts::new(&registry, "edge_closed_total")?;
        let server = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into(), counts)?;
        let address = server.address();
        let base = format!("http://{address}");
        let serving =
            tokio::spawn(server.serve(observability_routes(registry, Readiness::default()), Tasks::new(stop.clone())));
        let mut silent = Vec::new();
        for _ in 0..BOUNDS.connections {
            silent.push(TcpStream::connect(address).await?);
        }
        assert_eq!(get(format!("{base}/live")).await?.0, 200);
        let (_, metrics) = get(format!("{base}/metrics")).await?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        assert!(metrics.contains("edge_closed_total{reason=\"gave_way\"} "), "{metrics}");
        assert!(metrics.contains("edge_closed_total{reason=\"rejected\"} 0"), "{metrics}");
        assert_eq!(silent.first_mut().context("one")?.read(&mut [0]).await.unwrap_or(0), 0, "the oldest is closed");

        stop.cancel();
        drop(silent);
        serving.await?;
        Ok(())
    }

    const LARGE: usize = 64 << 20;

    /// A server whose `/large` is more than the buffers of both kernels hold.
    async fn serving_large(
        unread: UnreadBounds,
        stop: CancellationToken,
    ) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
        let registry = Registry::new();
        let counts = ConnectionCounts::new(&registry, "edge_closed_total")?;
        let server = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into(), counts)?;
        let address = server.address();
        let large = Bytes::from(vec![b'x'; LARGE]);
        let routes = observability_routes(registry, Readiness::default());
        let routes = routes.route("/large", get_route(move || async move { large }));
        Ok((address, tokio::spawn(server.serve_with(HttpBounds { unread, ..BOUNDS }, routes, Tasks::new(stop)))))
    }

    /// A client that asks and never reads.
    async fn ask(address: SocketAddr) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: edge\r\n\r\n").await?;
        Ok(stream)
    }

    /// Waits until so many connections were closed because their clients did not read.
    async fn until_closed(address: SocketAddr, count: usize) -> anyhow::Result<()> {
        let line = format!("edge_closed_total{{reason=\"unread\"}} {count}\n");
        let closed = async {
            loop {
                let (_, metrics) = get(format!("http://{address}/metrics")).await?;
                if String::from_utf8_lossy(&metrics).contains(&line) {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(Duration::from_secs(20), closed).await?
    }

    #[tokio::test]
    async fn a_client_that_never_reads_loses_its_connection() -> anyhow::Result<()> {
        let (stop, unread) =
            (CancellationToken::new(), UnreadBounds { within: Duration::from_secs(1), connections: 8 });
        let (address, serving) = serving_large(unread, stop.clone()).await?;
        let mut silent = ask(address).await?;
        until_closed(address, 1).await?;
        let mut received = Vec::new();
        let end = silent.read_to_end(&mut received).await;
        assert!(received.len() < LARGE, "{end:?}");
        assert_eq!(get(format!("http://{address}/large")).await?.1.len(), LARGE, "a client that reads has it all");
        stop.cancel();
        timeout(Duration::from_secs(20), serving).await??;
        Ok(())
    }

    #[tokio::test]
    async fn few_clients_may_leave_their_answers_unread() -> anyhow::Result<()> {
        let (stop, unread) =
            (CancellationToken::new(), UnreadBounds { within: Duration::from_secs(3600), connections: 2 });
        let (address, serving) = serving_large(unread, stop.clone()).await?;
        let mut silent = Vec::new();
        for _ in 0..5 {
            silent.push(ask(address).await?);
        }
        until_closed(address, 3).await?;
        assert_eq!(get(format!("http://{address}/large")).await?.1.len(), LARGE);
        stop.cancel();
        drop(silent);
        timeout(Duration::from_secs(20), serving).await??;
        Ok(())
    }
}
