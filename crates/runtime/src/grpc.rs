//! What the gRPC sides of all servers share: bounded connections, health that follows the readiness, and reflection.
//!
//! A peer that sends no HTTP/2 preface loses its connection. A connection over the limit is closed at once, so that its peer tries another server
//! instead of waiting in a queue.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::{Phase, Readiness};

/// A health request holds the name of a service, a reflection request that of a symbol.
const NAME_MESSAGE_BYTES: usize = 1 << 10;

/// The health service of a server whose services are all as ready as the server is; the empty name stands for the whole server.
pub async fn health_service(readiness: Readiness, services: &'static [&'static str]) -> HealthServer<impl Health> {
    let (reporter, health) = health_reporter();
    report(&reporter, services, readiness.phase()).await;
    tokio::spawn(follow_readiness(reporter, services, readiness));
    health.max_decoding_message_size(NAME_MESSAGE_BYTES)
}

/// Lists the services for tools such as grpcurl, health included.
///
/// # Errors
/// The definitions are no serialized `FileDescriptorSet`.
pub fn reflection_service(definitions: &[u8]) -> anyhow::Result<ServerReflectionServer<impl ServerReflection>> {
    let service = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(definitions)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("gRPC reflection cannot be set up")?;
    Ok(service.max_decoding_message_size(NAME_MESSAGE_BYTES))
}

async fn follow_readiness(reporter: HealthReporter, services: &[&str], readiness: Readiness) {
    let mut changes = readiness.changes();
    loop {
        let phase = *changes.borrow_and_update();
        report(&reporter, services, phase).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn report(reporter: &HealthReporter, services: &[&str], phase: Phase) {
    let status = match phase {
        Phase::Ready => ServingStatus::Serving,
        Phase::Starting | Phase::Draining => ServingStatus::NotServing,
    };
    for service in services {
        reporter.set_service_status(*service, status).await;
    }
}

/// The bytes with which a client opens HTTP/2; from then on keepalive finds a dead peer.
const PREFACE_BYTES: usize = 24;
const PREFACE_WITHIN: Duration = Duration::from_secs(10);
/// When the process is out of file descriptors, the next attempt fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The connections that `listener` accepts, at most `count` at once. `refused` is called for each connection over that.
pub fn bounded_connections(
    listener: TcpListener,
    count: usize,
    refused: impl Fn(),
) -> impl Stream<Item = io::Result<Connection>> {
    let free = Arc::new(Semaphore::new(count));
    TcpIncoming::from(listener).with_nodelay(Some(true)).then(slow_down).filter_map(move |accepted| {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return Some(Err(error)),
        };
        match Arc::clone(&free).try_acquire_owned() {
            Ok(permit) => Some(Ok(Connection::new(stream, permit, PREFACE_WITHIN))),
            Err(_) => {
                refused();
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

/// A connection that holds its permit while it is open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Until the preface is read: how many of its bytes are missing, and the deadline.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, preface_within: Duration) -> Self {
        Self { stream, preface: Some((PREFACE_BYTES, Box::pin(sleep(preface_within)))), _permit: permit }
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn listening() -> (TcpListener, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_counted() {
        let (listener, address) = listening().await;
        let refusals = Arc::new(AtomicUsize::new(0));
        let (count, refused) = (Arc::clone(&refusals), || refusals.load(Ordering::Relaxed));
        let mut accepted = pin!(bounded_connections(listener, 2, move || _ = count.fetch_add(1, Ordering::Relaxed)));
        let _peers = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = accepted.next().await.unwrap().unwrap();
        let _second = accepted.next().await.unwrap().unwrap();
        assert_eq!(refused(), 0);

        let mut third = TcpStream::connect(address).await.unwrap();
        let mut nothing = [0];
        tokio::select! {
            _ = accepted.next() => unreachable!("a third connection"),
            read = third.read(&mut nothing) => assert!(matches!(read, Ok(0) | Err(_)), "it is closed"),
        }
        assert_eq!(refused(), 1);

        drop(first);
        let _fourth = TcpStream::connect(address).await.unwrap();
        assert!(accepted.next().await.unwrap().is_ok(), "a place came back");
        assert_eq!(refused(), 1);
    }

    #[tokio::test]
    async fn a_peer_that_sends_no_preface_loses_its_connection() {
        let (listener, address) = listening().await;
        let free = Arc::new(Semaphore::new(1));
        for (said, kept) in [(0, false), (PREFACE_BYTES - 1, false), (PREFACE_BYTES, true), (PREFACE_BYTES + 1, true)] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(&vec![b'x'; said]).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let permit = Arc::clone(&free).acquire_owned().await.unwrap();
            let mut connection = Connection::new(stream, permit, Duration::from_millis(100));
            let read = connection.read_exact(&mut [0; PREFACE_BYTES]).await;
            assert_eq!(
                read.map_err(|error| error.kind()),
                if kept { Ok(said.min(PREFACE_BYTES)) } else { Err(ErrorKind::TimedOut) }
            );
            assert_eq!(connection.preface.is_none(), kept, "{said}");
        }
    }
}
