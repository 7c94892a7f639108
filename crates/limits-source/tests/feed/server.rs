//! A server of the feed that sends what a test tells it to.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use proto::edge::limits::v1::limits_feed_server::{LimitsFeed, LimitsFeedServer};
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{
    Heartbeat, LimitsPart, LocateRequest, LocateResponse, Version, WatchRequest, WatchResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::Server as TonicServer;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::support::in_time;

/// A server in a runtime of its own, so that it can die with all of its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    watches: mpsc::UnboundedReceiver<Watch>,
    runtime: Option<Runtime>,
}

/// A stream to a client. It ends in order when this is dropped.
pub(crate) struct Watch {
    /// What the client said it has.
    pub(crate) have: Option<Version>,
    messages: mpsc::Sender<Result<WatchResponse, Status>>,
    beats: Option<JoinHandle<()>>,
}

struct Scripted {
    watches: mpsc::UnboundedSender<Watch>,
}

#[tonic::async_trait]
impl LimitsFeed for Scripted {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (messages, to_send) = mpsc::channel(100);
        let watch = Watch { have: request.into_inner().have, messages, beats: None };
        self.watches.send(watch).map_err(|_| Status::unavailable("the test is over"))?;
        let stream = unfold(to_send, |mut to_send| async { to_send.recv().await.map(|message| (message, to_send)) });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn locate(&self, _: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        Err(Status::unimplemented("as a server of an earlier build"))
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, watches) = mpsc::unbounded_channel();
        let service = LimitsFeedServer::new(Scripted { watches: sender }).max_encoding_message_size(usize::MAX);
        let bind = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serve = TonicServer::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
            tokio::spawn(serve);
            address
        };
        let address = runtime.spawn(bind).await.unwrap();
        Self { address, watches, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next stream that a client requests.
    pub(crate) async fn watch(&mut self) -> Watch {
        in_time("a request of a client", self.watches.recv()).await.expect("a server")
    }

    /// The next stream, with a heartbeat as its first message and others later.
    pub(crate) async fn watch_beating(&mut self) -> Watch {
        let mut watch = self.watch().await;
        watch.beat(0);
        watch
    }

    /// Ends all connections at once.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.die();
    }
}

impl Watch {
    pub(crate) async fn say(&self, update: Update) {
        let message = WatchResponse { update: Some(update) };
        in_time("room for a message", self.messages.send(Ok(message))).await.expect("a client that listens");
    }

    pub(crate) async fn heartbeat(&self, heartbeat: Heartbeat) {
        self.say(Update::Heartbeat(heartbeat)).await;
    }

    pub(crate) async fn limits(&self, part: LimitsPart) {
        self.say(Update::Limits(part)).await;
    }

    /// A heartbeat now and every 200 ms, until the stream ends.
    pub(crate) fn beat(&mut self, stale_millis: u64) {
        let messages = self.messages.clone();
        let beats = async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let heartbeat = Heartbeat { stale_millis, ..Heartbeat::default() };
                let message = WatchResponse { update: Some(Update::Heartbeat(heartbeat)) };
                if messages.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        };
        self.hush();
        self.beats = Some(tokio::spawn(beats));
    }

    /// No heartbeats any more.
    pub(crate) fn hush(&mut self) {
        if let Some(beats) = self.beats.take() {
            beats.abort();
        }
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(self) {
        _ = self.messages.send(Err(Status::unavailable("the test has it fail"))).await;
    }

    /// Stays as it is for that long.
    pub(crate) async fn lives_for(&self, time: Duration) {
        let left = tokio::time::timeout(time, self.messages.closed()).await;
        assert!(left.is_err(), "the client has left");
    }

    /// Waits until the client has gone.
    pub(crate) async fn is_left(&self) {
        in_time("a client that leaves", self.messages.closed()).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hush();
    }
}
