//! The gRPC service `LimitsFeed`: sends each client, one message at a time, what it does not have yet.

mod client;
mod messages;

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{Stream, StreamExt, unfold};
use limits::{LoadedLimits, Problem};
use limits_source::{Freshness, HaTrackerState, LimitsFeed as Source};
use prometheus::IntGauge;
use proto::edge::limits::v1::limits_feed_server::LimitsFeed;
use proto::edge::limits::v1::{Heartbeat, LocateRequest, LocateResponse, WatchRequest, WatchResponse};
use tasks::{Tasks, blocking};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Request, Response, Status};

use crate::documents::Documents;
use crate::metrics::Metrics;
use crate::publication::{Published, Publisher};
use client::Client;

/// The most streams. Each mimir-rls has one.
pub(crate) const MAX_CLIENTS: usize = 1_000;

/// The service. Clones share its state.
#[derive(Clone)]
pub(crate) struct FeedService {
    inputs: Inputs,
    documents: Documents,
    metrics: Metrics,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    stop: CancellationToken,
}

/// Held by a stream while it is open.
struct OpenStream {
    clients: IntGauge,
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
}

impl FeedService {
    /// Streams end in order when `stop` is cancelled.
    pub(crate) fn new(inputs: Inputs, documents: Documents, metrics: Metrics, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CLIENTS));
        Self { inputs, documents, metrics, permits, open: TaskTracker::new(), stop }
    }

    /// Waits until no stream is open.
    pub(crate) async fn streams_ended(&self) {
        self.open.close();
        self.open.wait().await;
    }

    fn open_stream(&self) -> Result<OpenStream, Status> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.metrics.clients_rejected.inc();
            return Err(Status::resource_exhausted(format!(
                "the feed has {MAX_CLIENTS} clients already; try another overrides-sync"
            )));
        };
        let clients = self.metrics.clients.clone();
        clients.inc();
        Ok(OpenStream { clients, _permit: permit, _open: self.open.token() })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.clients.dec();
    }
}

#[tonic::async_trait]
impl LimitsFeed for FeedService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let open = self.open_stream()?;
        let peer = request.remote_addr();
        let have = request.into_inner().have;
        tracing::debug!(?peer, ?have, "a client watches the feed");
        let client = Client::new(self.inputs.clone(), have, self.metrics.clone(), self.stop.clone());
        // The connection polls for the next message when it has room, and gets what is newest then.
        let messages = unfold((client, open), |(mut client, open)| async move {
            client.next().await.map(|message| (Ok(message), (client, open)))
        });
        Ok(Response::new(messages.boxed()))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        Ok(Response::new(self.documents.locate(&request.into_inner().tenant)))
    }
}

/// The newest version; `None` until the first good limits.
pub(crate) type Newest = watch::Receiver<Option<Arc<Published>>>;

/// The inputs of every client.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) limits: Newest,
    pub(crate) problems: watch::Receiver<Arc<[Problem]>>,
    pub(crate) freshness: Freshness,
    pub(crate) distributors: watch::Receiver<Option<NonZeroU32>>,
    /// The last list of the HA tracker, if one is polled.
    pub(crate) ha_tracker: Option<watch::Receiver<HaTrackerState>>,
}

impl Inputs {
    pub(crate) fn heartbeat(&mut self) -> Heartbeat {
        Heartbeat {
            stale_millis: u64::try_from(self.freshness.age().as_millis()).unwrap_or(u64::MAX),
            distributors: self.distributors.borrow_and_update().map_or(0, NonZeroU32::get),
            has_ha_tracker: self.ha_tracker.is_some(),
        }
    }
}

/// Publishes limits and problems of a source until `tasks` are stopped. `on_state` gets each published state.
pub(crate) fn publish(
    mut publisher: Publisher,
    source: Source,
    tasks: &Tasks,
    on_state: impl Fn(&LoadedLimits, Option<&Published>) + Send + 'static,
) -> (Newest, watch::Receiver<Arc<[Problem]>>) {
    let (limits, problems) = (watch::Sender::new(None), watch::Sender::new(Arc::default()));
    let receivers = (limits.subscribe(), problems.subscribe());
    let mut states = source.states;
    tasks.spawn("limits of the feed", async move {
        loop {
            let state = states.borrow_and_update().clone();
            let seen = Instant::now();
            // Comparing ten thousand entries takes longer than an async worker may be blocked.
            let step = move || {
                let published = publisher.publish(&state, seen);
                (publisher, state, published)
            };
            let (returned, state, published) = blocking(step).await;
            publisher = returned;
            if let Some(published) = &published {
                limits.send_replace(Some(Arc::clone(published)));
            }
            problems.send_if_modified(|now| {
                let changed = **now != *state.problems;
                if changed {
                    *now = Arc::clone(&state.problems);
                }
                changed
            });
            on_state(&state, published.as_deref());
            if states.changed().await.is_err() {
                return;
            }
        }
    });
    receivers
}

#[cfg(test)]
mod tests;
