//! The connections of a listener: bounded in number, with or without TLS, and each with deadlines for its handshake and its first bytes.
//!
//! When all places are taken, a connection that sends nothing gives way to a new one, so that silent peers do not lock others out. Handshakes run in tasks of
//! their own, and each has a place: they are bounded as connections are, and none delays another. Answers that a peer does not read wait in memory for
//! a bounded time, on a bounded number of connections.

mod connection;
mod places;
mod unread;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use crate::listener::{Listener, Socket};

pub use connection::Connection;
use places::{Found, Place, Places};

/// When the process is out of file descriptors, the next attempt fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Bounds of the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionBounds {
    /// Connections at once.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake_within: Duration,
    /// How many bytes a peer sends first, and how long they may take.
    pub first_bytes: usize,
    /// See `first_bytes`.
    pub first_bytes_within: Duration,
    /// For answers that a peer does not read; `None` where the protocol bounds them.
    pub unread: Option<UnreadBounds>,
}

/// Bounds of answers that wait in memory, because the peer does not read them.
#[derive(Clone, Copy, Debug)]
pub struct UnreadBounds {
    /// How long they may wait for a peer that reads nothing. One that reads has one more second for every 64 KiB, but never more than this.
    pub within: Duration,
    /// How many connections may have such answers at once. Of more, one is closed: the longest waiting of the peer address that has most of them.
    pub connections: usize,
}

/// Counts of the connections of a listener that the server closed.
#[derive(Clone, Debug)]
pub struct ConnectionCounts {
    /// Because all places were taken, and in use.
    rejected: IntCounter,
    /// For another connection.
    gave_way: IntCounter,
    /// Because the first bytes did not come.
    silent: IntCounter,
    /// Because the handshake failed or took too long.
    handshake: IntCounter,
    /// Because the peer did not read its answers.
    unread: IntCounter,
}

impl ConnectionCounts {
    /// Registers the counts under `name`, with the label `reason`.
    ///
    /// # Errors
    /// The name is invalid or taken.
    pub fn new(registry: &Registry, name: &'static str) -> prometheus::Result<Self> {
        let help = "Connections that the server closed, by reason; rejected: all places were taken and in use, \
                    gave_way: for a new connection, silent: no first bytes in time, handshake: TLS failed, \
                    unread: the client did not read its answers";
        let closed = IntCounterVec::new(Opts::new(name, help), &["reason"])?;
        registry.register(Box::new(closed.clone()))?;
        let count = |reason: &str| closed.with_label_values(&[reason]);
        Ok(Self {
            rejected: count("rejected"),
            gave_way: count("gave_way"),
            silent: count("silent"),
            handshake: count("handshake"),
            unread: count("unread"),
        })
    }
}

/// The connections that a listener accepts, as a stream that never ends. Nothing is accepted while it is not polled.
pub struct Connections {
    listener: Listener,
    tls: Option<watch::Receiver<TlsAcceptor>>,
    places: Arc<Places>,
    bounds: ConnectionBounds,
    counts: ConnectionCounts,
    start: Instant,
    handshakes: JoinSet<Option<Connection>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    pub(crate) fn new(
        listener: Listener,
        tls: Option<watch::Receiver<TlsAcceptor>>,
        bounds: ConnectionBounds,
        counts: ConnectionCounts,
    ) -> Self {
        Self {
            listener,
            tls,
            places: Places::new(bounds.connections, bounds.unread.map(|unread| unread.connections)),
            bounds,
            counts,
            start: Instant::now(),
            handshakes: JoinSet::new(),
            pause: None,
        }
    }

    /// The next connection.
    pub(crate) async fn next(&mut self) -> Connection {
        std::future::poll_fn(|context| self.poll_connection(context)).await
    }

    fn poll_connection(&mut self, context: &mut Context<'_>) -> Poll<Connection> {
        loop {
            while let Poll::Ready(Some(done)) = self.handshakes.poll_join_next(context) {
                if let Ok(Some(connection)) = done {
                    return Poll::Ready(connection);
                }
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((socket, peer)) => {
                    if let Some(connection) = self.admit(socket, peer) {
                        return Poll::Ready(connection);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    tracing::warn!(address = %self.listener.address(), "a connection cannot be accepted: {error}");
                    self.pause = Some(Box::pin(sleep(ACCEPT_AGAIN_AFTER)));
                }
            }
        }
    }

    /// Finds a place for a stream; with TLS, its handshake begins.
    fn admit(&mut self, socket: Socket, peer: Option<SocketAddr>) -> Option<Connection> {
        let Some(Found { place, gave_way }) = self.places.take(peer.map(|peer| peer.ip()), self.start.elapsed()) else {
            self.counts.rejected.inc();
            return None;
        };
        if gave_way {
            self.counts.gave_way.inc();
        }
        let (bounds, counts, start) = (self.bounds, self.counts.clone(), self.start);
        let failed = self.counts.handshake.clone();
        let connection = move |socket, place| Connection::new(socket, peer, place, &bounds, counts, start);
        let Some(tls) = &mut self.tls else { return Some(connection(socket, place)) };
        let acceptor = tls.borrow_and_update().clone();
        self.handshakes.spawn(async move {
            match shake_hands(acceptor, socket, &place, bounds.handshake_within).await {
                Ok(socket) => Some(connection(socket, place)),
                Err(error) => {
                    failed.inc();
                    tracing::debug!(?peer, "a TLS handshake failed: {error}");
                    None
                }
            }
        });
        None
    }
}

async fn shake_hands(acceptor: TlsAcceptor, socket: Socket, place: &Place, within: Duration) -> io::Result<Socket> {
    let accepting = timeout(within, acceptor.accept(socket));
    match place.gave_way().run_until_cancelled(accepting).await {
        Some(Ok(stream)) => Ok(Socket::Tls(Box::new(stream?))),
        Some(Err(_)) => Err(ErrorKind::TimedOut.into()),
        None => Err(ErrorKind::ConnectionAborted.into()),
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_connection(context).map(|connection| Some(Ok(connection)))
    }
}

#[cfg(test)]
mod tests;
