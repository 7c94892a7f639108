//! The servers of the feed, the order in which they are tried, and the stream of one of them.
//!
//! Invariant: no server is tried in a tight loop. There is a pause between two rounds, unless a stream that was longer than the shortest pause was ended
//! by its server or was stale. Each wait has a timeout: for the connection, for the first message, and from one message to the next.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_util::rt::TokioIo;
use proto::edge::limits::v1::limits_feed_client::LimitsFeedClient;
use proto::edge::limits::v1::{Version, WatchRequest, WatchResponse};
use rand::seq::SliceRandom;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::tls::FeedTlsFiles;
use crate::FeedUrls;
use crate::retry::Backoff;
use crate::url::FeedServer;
use crate::web::with_causes;

/// The shortest pause between two rounds.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, and how long a server whose update was rejected is avoided.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a name may take to be resolved.
const RESOLVE_WITHIN: Duration = Duration::from_secs(1);
/// The most addresses in a round.
const MAX_ADDRESSES: usize = 64;

/// One address of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// As in the URL.
    pub(super) name: Authority,
    pub(super) address: SocketAddr,
    /// The files of TLS, if the URL is https.
    tls: Option<FeedTlsFiles>,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, .. } = self;
        let address = address.to_string();
        if address == name.as_str() { formatter.write_str(&address) } else { write!(formatter, "{name} ({address})") }
    }
}

/// The servers of a feed.
#[derive(Debug)]
pub(super) struct Servers {
    urls: FeedUrls,
    /// Servers whose update was rejected, and until when they are avoided.
    avoided: HashMap<SocketAddr, Instant>,
    /// The server whose stream ended last: it is tried last.
    ended: Option<SocketAddr>,
}

/// One round: the servers to try, and how many names could not be resolved.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) servers: Vec<Server>,
    pub(super) unresolved: usize,
}

impl Servers {
    pub(super) fn new(urls: FeedUrls) -> Self {
        Self { urls, avoided: HashMap::new(), ended: None }
    }

    /// Avoids a server for the longest pause.
    pub(super) fn avoid(&mut self, address: SocketAddr) {
        self.avoided.insert(address, Instant::now() + LONGEST_PAUSE);
    }

    /// The stream of this server has ended.
    pub(super) fn has_ended(&mut self, address: SocketAddr) {
        self.ended = Some(address);
    }

    /// Resolves every name, and puts the addresses in random order.
    pub(super) async fn round(&mut self) -> Round {
        let tls = self.urls.tls();
        let resolved = join_all(self.urls.servers().iter().map(|server| resolve(server, tls))).await;
        let unresolved = resolved.iter().filter(|addresses| addresses.is_empty()).count();
        let servers = self.in_order(resolved.into_iter().flatten().collect(), Instant::now());
        Round { servers, unresolved }
    }

    fn in_order(&mut self, mut servers: Vec<Server>, now: Instant) -> Vec<Server> {
        self.avoided.retain(|_, until| *until > now);
        servers.sort_by_key(|server| server.address);
        servers.dedup_by_key(|server| server.address);
        servers.retain(|server| !self.avoided.contains_key(&server.address));
        servers.shuffle(&mut rand::rng());
        servers.sort_by_key(|server| Some(server.address) == self.ended);
        servers.truncate(MAX_ADDRESSES);
        servers
    }
}

/// The addresses of one name; empty if it cannot be resolved.
async fn resolve(FeedServer { name, is_https }: &FeedServer, tls: &FeedTlsFiles) -> Vec<Server> {
    let found = timeout(RESOLVE_WITHIN, lookup_host(name.as_str())).await;
    let addresses = found.into_iter().flatten().flatten();
    let server = |address| Server { name: name.clone(), address, tls: is_https.then(|| tls.clone()) };
    addresses.take(MAX_ADDRESSES).map(server).collect()
}

/// The pauses between rounds.
pub(super) fn pauses() -> Backoff {
    Backoff::new(SHORTEST_PAUSE, LONGEST_PAUSE)
}

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A healthy server sends a message at once.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(2);
/// A server sends a heartbeat every second.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// The largest message: the largest document as one tenant's entry fits in.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A stream that has received a message.
#[derive(Debug)]
pub(super) struct Stream {
    messages: Streaming<WatchResponse>,
    /// Holds the connection.
    client: LimitsFeedClient<Channel>,
    first: Option<WatchResponse>,
}

/// Why there is no message.
#[derive(Debug, Error)]
pub(super) enum StreamError {
    #[error("no connection within {CONNECT_WITHIN:?}")]
    ConnectTimeout,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("connected, but no message within {FIRST_MESSAGE_WITHIN:?}")]
    NoFirstMessage,
    #[error("no message for {SILENT_FOR:?}")]
    Silent,
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    #[error("the server ended the stream before its first message")]
    EndedAtOnce,
    #[error("a message is larger than {MAX_MESSAGE_BYTES} bytes or no message of the feed: {}", .0.message())]
    Unreadable(Box<tonic::Status>),
}

impl From<tonic::Status> for StreamError {
    fn from(status: tonic::Status) -> Self {
        let status = Box::new(status);
        match status.code() {
            // tonic's own codes for a message that it cannot decode.
            Code::OutOfRange | Code::Internal => Self::Unreadable(status),
            _ => Self::Status(status),
        }
    }
}

impl Stream {
    /// Requests what changed since `have`, and waits for the first message.
    pub(super) async fn open(server: &Server, have: Option<Version>) -> Result<Self, StreamError> {
        let connecting = timeout(CONNECT_WITHIN, connect(server)).await;
        let channel = connecting.map_err(|_| StreamError::ConnectTimeout)??;
        let mut client = LimitsFeedClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let begin = async {
            let mut messages = client.watch(WatchRequest { have }).await?.into_inner();
            let first = messages.message().await?;
            Ok::<_, tonic::Status>((messages, first))
        };
        let begun = timeout(FIRST_MESSAGE_WITHIN, begin).await.map_err(|_| StreamError::NoFirstMessage)?;
        match begun? {
            (messages, Some(first)) => Ok(Self { messages, client, first: Some(first) }),
            (_, None) => Err(StreamError::EndedAtOnce),
        }
    }

    /// For other requests on the connection.
    pub(super) fn client(&self) -> LimitsFeedClient<Channel> {
        self.client.clone()
    }

    /// The next message; `None` if the server ended the stream.
    pub(super) async fn next(&mut self) -> Result<Option<WatchResponse>, StreamError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let message = timeout(SILENT_FOR, self.messages.message()).await.map_err(|_| StreamError::Silent)?;
        Ok(message?)
    }
}

async fn connect(server: &Server) -> Result<Channel, StreamError> {
    let Server { name, address, tls } = server.clone();
    let uri = |scheme| {
        let parts = Uri::builder().scheme(scheme).authority(server.name.clone()).path_and_query("/");
        parts.build().map_err(|error| StreamError::Connect(error.to_string()))
    };
    // tonic would make TLS of its own for https; the origin is what the server sees.
    let endpoint = Endpoint::from(uri(Scheme::HTTP)?);
    let endpoint = if tls.is_some() { endpoint.origin(uri(Scheme::HTTPS)?) } else { endpoint };
    let connector = tower::service_fn(move |_: Uri| {
        let (name, tls) = (name.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Transport> = match tls {
                Some(files) => Box::new(files.connect(&name, stream).await?),
                None => Box::new(stream),
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    let connected = endpoint.connect_with_connector(connector).await;
    connected.map_err(|error| StreamError::Connect(with_causes(&error)))
}

/// A TCP connection, with or without TLS.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &str) -> Servers {
        Servers::new(urls.parse().unwrap())
    }

    async fn ports(servers: &mut Servers) -> Vec<u16> {
        servers.round().await.servers.iter().map(|server| server.address.port()).collect()
    }

    #[tokio::test]
    async fn every_address_is_tried_once_in_random_order() {
        let mut servers = servers("http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:1,http://[::1]:3");
        let mut first = std::collections::HashSet::new();
        for _ in 0..200 {
            let mut ports = ports(&mut servers).await;
            first.insert(ports[0]);
            ports.sort_unstable();
            assert_eq!(ports, [1, 2, 3]);
        }
        assert_eq!(first.len(), 3);
    }

    #[tokio::test]
    async fn an_avoided_server_is_tried_again_after_the_longest_pause() {
        let mut servers = servers("http://127.0.0.1:1,http://127.0.0.1:2");
        let both = servers.round().await.servers;
        servers.avoid("127.0.0.1:1".parse().unwrap());
        assert_eq!(ports(&mut servers).await, [2]);
        let later = Instant::now() + LONGEST_PAUSE;
        assert_eq!(servers.in_order(both, later).len(), 2);
    }

    #[tokio::test]
    async fn the_server_whose_stream_ended_is_tried_last() {
        let mut servers = servers("http://127.0.0.1:1,http://127.0.0.1:2");
        servers.has_ended("127.0.0.1:1".parse().unwrap());
        for _ in 0..50 {
            assert_eq!(ports(&mut servers).await, [2, 1]);
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_leaves_the_others() {
        let mut servers = servers("http://no-such-host.invalid:1,http://127.0.0.1:2");
        let round = servers.round().await;
        assert_eq!((round.servers.len(), round.unresolved), (1, 1));
    }
}
