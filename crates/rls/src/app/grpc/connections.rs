//! The connections of the gRPC side: as many at once as there is memory for, and none from a peer that does not begin to speak.
//!
//! One too many is closed at once: its peer then tries elsewhere, where one that is left in the queue would wait for its own timeout.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::metrics::Metrics;

/// Connections at once. Each worker of each Envoy has one, or a few under load.
pub(super) const LARGEST_COUNT: usize = 1000;
/// The bytes with which a client opens HTTP/2; from then on keepalive finds a dead peer.
const PREFACE_BYTES: usize = 24;
const PREFACE_WITHIN: Duration = Duration::from_secs(10);
/// When the process is out of file descriptors, the next attempt fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The connections that `listener` accepts, at most `count` at once.
pub(super) fn bounded(
    listener: TcpListener,
    count: usize,
    metrics: Metrics,
) -> impl Stream<Item = io::Result<Connection>> {
    let free = Arc::new(Semaphore::new(count));
    TcpIncoming::from(listener).with_nodelay(Some(true)).then(slow_down).filter_map(move |accepted| {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return Some(Err(error)),
        };
        match Arc::clone(&free).try_acquire_owned() {
            Ok(permit) => Some(Ok(Connection::new(stream, permit))),
            Err(_) => {
                metrics.connection_refused();
                None
            }
        }
    })
}

async fn slow_down(accepted: io::Result<TcpStream>) -> io::Result<TcpStream> {
    if let Err(error) = &accepted
        && !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
    {
        tracing::warn!("a gRPC connection cannot be accepted: {error}");
        sleep(ACCEPT_AGAIN_AFTER).await;
    }
    accepted
}

/// A connection that counts as long as it is open.
pub(super) struct Connection {
    stream: TcpStream,
    /// Until the peer has begun to speak: what is left of its first bytes, and for how long.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, preface: Some((PREFACE_BYTES, Box::pin(sleep(PREFACE_WITHIN)))), _permit: permit }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some((left, deadline)) = &mut this.preface {
            *left = left.saturating_sub(buffer.filled().len().saturating_sub(before));
            if *left == 0 {
                this.preface = None;
            } else if read.is_pending() && deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
