//! A server of the feed that says what a test has it say, to any number of clients.

use std::time::Duration;

use limits::{EntryUpdate, LimitsState, Mode, Update as Limits};
use proto::edge::limits::v1::limits_feed_server::{LimitsFeed, LimitsFeedServer};
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{Heartbeat, LimitsPart, TenantLimits, Version, WatchRequest, WatchResponse};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const BEAT_EVERY: Duration = Duration::from_millis(200);

/// What the server says: the fields of tenant `t`, and how many distributors there are.
#[derive(Clone, Default)]
struct Said {
    sequence: u64,
    fields: String,
    distributors: u32,
}

pub(crate) struct Feed {
    pub(crate) url: String,
    said: watch::Sender<Said>,
    _running: DropGuard,
}

struct Service(watch::Receiver<Said>);

impl Feed {
    /// Says these fields of tenant `t`.
    pub(crate) async fn start(fields: &str) -> anyhow::Result<Self> {
        let (said, saying) = watch::channel(Said::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("feed:http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let running = stop.clone().drop_guard();
        let serve = Server::builder().add_service(LimitsFeedServer::new(Service(saying)));
        let serve = serve.serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(async move { stop.run_until_cancelled(serve).await });
        let feed = Self { url, said, _running: running };
        feed.say(fields, 1);
        Ok(feed)
    }

    /// Says other fields, and so many distributors.
    pub(crate) fn say(&self, fields: &str, distributors: u32) {
        let fields = format!("{{{fields}}}");
        self.said.send_modify(|said| *said = Said { sequence: said.sequence + 1, fields, distributors });
    }
}

#[tonic::async_trait]
impl LimitsFeed for Service {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (mut saying, (messages, to_send)) = (self.0.clone(), mpsc::channel(1));
        tokio::spawn(async move {
            loop {
                let said = saying.borrow_and_update().clone();
                let heartbeat = Heartbeat { distributors: said.distributors, ..Heartbeat::default() };
                for update in [Update::Heartbeat(heartbeat), Update::Limits(part(&said))] {
                    if messages.send(Ok(WatchResponse { update: Some(update) })).await.is_err() {
                        return;
                    }
                }
                // A heartbeat is due, or there is something to say.
                if let Ok(Err(_)) = timeout(BEAT_EVERY, saying.changed()).await {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(to_send)))
    }
}

/// Everything there is, in one part.
fn part(said: &Said) -> LimitsPart {
    let entry = EntryUpdate { tenant: "t", mode: Mode::Enforce, own_fields: &said.fields };
    let mut state = LimitsState::new(limits::TenantLimits::default(), true);
    let updated = state.update(&Limits { complete: true, put: vec![entry], removed: Vec::new() });
    let content_sum = updated.unwrap_or_else(|error| unreachable!("{error}")).snapshot.content_sum();
    let version = Version { epoch: 1, sequence: said.sequence, content_sum, ..Version::default() };
    let put = TenantLimits { tenant: "t".to_owned(), fields: said.fields.clone(), ..TenantLimits::default() };
    LimitsPart { version: Some(version), complete: true, last: true, put: vec![put], removed: Vec::new() }
}
