//! How many distributors Mimir has: the ready endpoints of a Service, watched.
//!
//! A tenant's rate is divided by that number, so that too small a number gives away less than Mimir would: a number that falls is believed only after it
//! has stayed low, and no outage, neither of the API server nor of all distributors, lowers it.

mod count;
mod slices;

use std::num::NonZeroU32;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::{Fault, KubeClient, Scope, Seen, ServiceName, Watch};
use count::ReadyCount;
use slices::Slices;

const RESOURCE: &str = "endpointslices.discovery.k8s.io";

/// Counts the ready endpoints of one Service.
#[derive(Debug)]
pub struct DistributorsSource {
    client: KubeClient,
    service: ServiceName,
}

impl DistributorsSource {
    /// A source that has asked nothing yet.
    #[must_use]
    pub fn new(client: KubeClient, service: ServiceName) -> Self {
        Self { client, service }
    }

    /// Counts until `stop` is cancelled, and waits for nothing. `None` until a ready endpoint was seen, and never again.
    ///
    /// A rising count is there at once, a falling one after 2 minutes.
    #[must_use]
    pub fn start(self, stop: CancellationToken) -> channel::Receiver<Option<NonZeroU32>> {
        let (sender, receiver) = channel::channel(None);
        let labels = Some(format!("kubernetes.io/service-name={}", self.service.name));
        let scope = Scope { namespace: self.service.namespace.clone(), fields: None, labels };
        let watch = Watch::new(self.client.clone(), scope);
        let counter = Counter {
            client: self.client,
            service: self.service,
            watch,
            slices: Slices::default(),
            count: ReadyCount::default(),
            fault: None,
            sender,
        };
        tokio::spawn(stop.run_until_cancelled_owned(counter.run()));
        receiver
    }
}

#[derive(Debug)]
struct Counter {
    client: KubeClient,
    service: ServiceName,
    watch: Watch<EndpointSlice>,
    slices: Slices,
    count: ReadyCount,
    /// What the log was told last.
    fault: Option<Fault>,
    sender: channel::Sender<Option<NonZeroU32>>,
}

impl Counter {
    async fn run(mut self) {
        loop {
            let falls_at = self.count.falls_at().map(Instant::from_std);
            tokio::select! {
                seen = self.watch.next() => self.take(seen).await,
                () = sleep_until(falls_at.unwrap_or_else(Instant::now)), if falls_at.is_some() => {}
            }
            self.publish();
        }
    }

    async fn take(&mut self, seen: Seen<EndpointSlice>) {
        match seen {
            Seen::Listed(slices) => self.slices.replace(slices),
            Seen::Put(slice) => self.slices.put(slice),
            Seen::Gone(slice) => self.slices.remove(&slice),
            Seen::Failed(fault) => return self.failed(fault).await,
        }
        if self.fault.take().is_some() {
            tracing::info!(service = %self.service, "the distributors can be counted again");
        }
        self.count.observe(self.slices.ready(), Instant::now().into_std());
    }

    async fn failed(&mut self, fault: Fault) {
        if fault == Fault::Unauthorized
            && let Err(error) = self.client.renew().await
        {
            tracing::debug!(%error, "refused credentials could not be read again");
        }
        // A watch ends now and then, and an old one is not known any more: neither is worth a line unless it lasts.
        if fault == Fault::Expired || self.fault.as_ref().is_some_and(|known| known.is_like(&fault)) {
            return;
        }
        let why = fault.explain(RESOURCE, &self.service.namespace, None);
        tracing::warn!(service = %self.service, "the distributors cannot be counted, the last count holds: {why}");
        self.fault = Some(fault);
    }

    fn publish(&mut self) {
        let now = Instant::now().into_std();
        let count = self.count.published(now);
        let is_new = self.sender.send_if_modified(|held| std::mem::replace(held, count) != count);
        if let (true, Some(count)) = (is_new, count) {
            tracing::info!(service = %self.service, distributors = count, "the number of distributors is new");
        }
    }
}
