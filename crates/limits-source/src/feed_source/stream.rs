//! One stream of one server. Each wait has an end: for the connection, for the first message, and from one message to the next.

use std::time::Duration;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use hyper_util::rt::TokioIo;
use proto::edge::limits::v1::limits_feed_client::LimitsFeedClient;
use proto::edge::limits::v1::{Version, WatchRequest, WatchResponse};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::servers::Server;
use crate::web::with_causes;

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A server that lives says so at once.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(2);
/// A server sends a heartbeat every second.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// The largest message. It has room for the largest document as one tenant's entry.
const MOST_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A stream on which the server has said something.
#[derive(Debug)]
pub(super) struct Stream {
    messages: Streaming<WatchResponse>,
    /// Holds the connection.
    _client: LimitsFeedClient<Channel>,
    first: Option<WatchResponse>,
}

/// Why a server gives no message.
#[derive(Debug, Error)]
pub(super) enum StreamError {
    #[error("no connection within {CONNECT_WITHIN:?}")]
    ConnectTimeout,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("connected, but no message within {FIRST_MESSAGE_WITHIN:?}")]
    Mute,
    #[error("no message for {SILENT_FOR:?}")]
    Silent,
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    #[error("the server ended the stream before its first message")]
    EndedAtOnce,
    #[error("a message is larger than {MOST_MESSAGE_BYTES} bytes or no message of the feed: {}", .0.message())]
    Unreadable(Box<tonic::Status>),
}

impl From<tonic::Status> for StreamError {
    fn from(status: tonic::Status) -> Self {
        let status = Box::new(status);
        match status.code() {
            // What tonic itself says of a message that it does not read.
            Code::OutOfRange | Code::Internal => Self::Unreadable(status),
            _ => Self::Status(status),
        }
    }
}

impl Stream {
    /// Asks a server for what changed since `have`, and waits for its first message.
    pub(super) async fn open(server: &Server, have: Option<Version>) -> Result<Self, StreamError> {
        let connecting = timeout(CONNECT_WITHIN, connect(server)).await;
        let channel = connecting.map_err(|_| StreamError::ConnectTimeout)??;
        let mut client = LimitsFeedClient::new(channel).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let begin = async {
            let mut messages = client.watch(WatchRequest { have }).await?.into_inner();
            let first = messages.message().await?;
            Ok::<_, tonic::Status>((messages, first))
        };
        let begun = timeout(FIRST_MESSAGE_WITHIN, begin).await.map_err(|_| StreamError::Mute)?;
        match begun? {
            (messages, Some(first)) => Ok(Self { messages, _client: client, first: Some(first) }),
            (_, None) => Err(StreamError::EndedAtOnce),
        }
    }

    /// The next message; `None` where the server ended the stream in order.
    pub(super) async fn next(&mut self) -> Result<Option<WatchResponse>, StreamError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let message = timeout(SILENT_FOR, self.messages.message()).await.map_err(|_| StreamError::Silent)?;
        Ok(message?)
    }
}

async fn connect(server: &Server) -> Result<Channel, StreamError> {
    let address = server.address;
    let connector = tower::service_fn(move |_: Uri| async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(TokioIo::new(stream))
    });
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(server.name.clone());
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    let uri = Uri::from_parts(parts).map_err(|error| StreamError::Connect(error.to_string()))?;
    let connected = Endpoint::from(uri).connect_with_connector(connector).await;
    connected.map_err(|error| StreamError::Connect(with_causes(&error)))
}
