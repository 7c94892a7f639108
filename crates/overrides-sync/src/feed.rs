//! The gRPC service `LimitsFeed`: sends each client, one message at a time, what it does not have yet. [`crate::publication`] makes the changes.

mod client;
mod inputs;
mod messages;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{Stream, StreamExt, unfold};
use prometheus::IntGauge;
use proto::edge::limits::v1::limits_feed_server::LimitsFeed;
use proto::edge::limits::v1::{WatchRequest, WatchResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Request, Response, Status};

use crate::metrics::Metrics;
use client::Client;
pub(crate) use inputs::{Inputs, publish};

/// Streams at once. Each mimir-rls has one.
pub(crate) const MOST_CLIENTS: usize = 1_000;

/// The service; clones are the same one.
#[derive(Clone)]
pub(crate) struct FeedService {
    inputs: Inputs,
    metrics: Metrics,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    stop: CancellationToken,
}

/// Held by a stream as long as it is open.
struct OpenStream {
    clients: IntGauge,
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
}

impl FeedService {
    /// Streams end in order when `stop` is cancelled.
    pub(crate) fn new(inputs: Inputs, metrics: Metrics, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_CLIENTS));
        Self { inputs, metrics, permits, open: TaskTracker::new(), stop }
    }

    /// Waits until no stream is open.
    pub(crate) async fn streams_ended(&self) {
        self.open.close();
        self.open.wait().await;
    }

    fn open_stream(&self) -> Result<OpenStream, Status> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.metrics.clients_refused.inc();
            return Err(Status::resource_exhausted(format!(
                "the feed has {MOST_CLIENTS} clients already; ask another overrides-sync"
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
        // The connection asks for the next message when it has room for it, and what is newest then is what it gets.
        let messages = unfold((client, open), |(mut client, open)| async move {
            client.next().await.map(|message| (Ok(message), (client, open)))
        });
        Ok(Response::new(messages.boxed()))
    }
}

#[cfg(test)]
mod tests;
