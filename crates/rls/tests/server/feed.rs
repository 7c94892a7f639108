//! A server of the feed whose content a test sets, for any number of clients.

use std::time::Duration;

use limits::{EntryUpdate, LimitsState, Mode, Update as Limits};
use proto::edge::limits::v1::limits_feed_server::{LimitsFeed, LimitsFeedServer};
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{
    Heartbeat, LimitsPart, LocateRequest, LocateResponse, Place, TenantLimits, Version, WatchRequest, WatchResponse,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const BEAT_EVERY: Duration = Duration::from_millis(200);

/// What the server sends: the fields of tenant `t`, and how many distributors there are.
#[derive(Clone, Default)]
struct FeedContent {
    sequence: u64,
    fields: String,
    distributors: u32,
}

pub(crate) struct Feed {
    pub(crate) url: String,
    content: watch::Sender<FeedContent>,
    _running: DropGuard,
}

struct Service(watch::Receiver<FeedContent>);

impl Feed {
    /// Sends these fields of tenant `t`.
    pub(crate) async fn start(fields: &str) -> anyhow::Result<Self> {
        let (content, contents) = watch::channel(FeedContent::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("feed:http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let running = stop.clone().drop_guard();
        let serve = Server::builder().add_service(LimitsFeedServer::new(Service(contents)));
        let serve = serve.serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(async move { stop.run_until_cancelled(serve).await });
        let feed = Self { url, content, _running: running };
        feed.say(fields, 1);
        Ok(feed)
    }

    /// Sends other fields and another number of distributors.
    pub(crate) fn say(&self, fields: &str, distributors: u32) {
        let fields = format!("{{{fields}}}");
        self.content
            .send_modify(|content| *content = FeedContent { sequence: content.sequence + 1, fields, distributors });
    }
}

#[tonic::async_trait]
impl LimitsFeed for Service {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (mut contents, (messages, to_send)) = (self.0.clone(), mpsc::channel(1));
        tokio::spawn(async move {
            loop {
                let content = contents.borrow_and_update().clone();
                let heartbeat = Heartbeat { distributors: content.distributors, ..Heartbeat::default() };
                for update in [Update::Heartbeat(heartbeat), Update::Limits(part(&content))] {
                    if messages.send(Ok(WatchResponse { update: Some(update) })).await.is_err() {
                        return;
                    }
                }
                // A heartbeat is due, or there is something to send.
                if let Ok(Err(_)) = timeout(BEAT_EVERY, contents.changed()).await {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(to_send)))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        let LocateRequest { tenant } = request.into_inner();
        let place = |field: &str| Place { field: field.to_owned(), document: "runtime.yaml".to_owned(), line: Some(7) };
        let places = if tenant == "t" { vec![place("request_rate"), place("of_a_newer_build")] } else { Vec::new() };
        let (namespace, configmap) = ("mimir".to_owned(), "mimir-runtime".to_owned());
        Ok(Response::new(LocateResponse { namespace, configmap, places }))
    }
}

/// Everything there is, in one part.
fn part(content: &FeedContent) -> LimitsPart {
    let entry = EntryUpdate { tenant: "t", mode: Mode::Enforce, own_fields: &content.fields };
    let mut state = LimitsState::new(limits::TenantLimits::default(), true);
    let updated = state.update(&Limits { complete: true, put: vec![entry], removed: Vec::new() });
    let content_sum = updated.unwrap_or_else(|error| unreachable!("{error}")).snapshot.content_sum();
    let version = Version { epoch: 1, sequence: content.sequence, content_sum, ..Version::default() };
    let put = TenantLimits { tenant: "t".to_owned(), fields: content.fields.clone(), ..TenantLimits::default() };
    LimitsPart { version: Some(version), complete: true, last: true, put: vec![put], removed: Vec::new() }
}
