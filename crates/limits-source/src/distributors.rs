//! The number of Mimir's distributors: the ready endpoints of a Service, which is watched.
//!
//! A tenant's burst is multiplied by that number, so a number that is too small would deny what Mimir allows. A fall is therefore published only after the
//! number has stayed low, and neither an outage of the API server or of all distributors nor a restart lowers it.

mod count;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use tasks::Tasks;
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep_until};

use crate::kubernetes::{ApiError, KubeClient, NamespacedName, Scope, Watch, WatchEvent};
use count::ReadyCount;

const RESOURCE: &str = "endpointslices.discovery.k8s.io";

/// Counts the ready endpoints of a Service until `tasks` are stopped, without waiting for the first count. `last` is the count before a restart; without
/// one, `None` until a ready endpoint was seen, and never again.
///
/// A rise is published at once, a fall after 2 minutes.
#[must_use]
pub fn count_distributors(
    client: KubeClient,
    service: NamespacedName,
    last: Option<NonZeroU32>,
    tasks: &Tasks,
) -> channel::Receiver<Option<NonZeroU32>> {
    let (sender, receiver) = channel::channel(last);
    let labels = Some(format!("kubernetes.io/service-name={}", service.name));
    let scope = Scope { namespace: service.namespace.clone(), fields: None, labels };
    let watch = Watch::new(client.clone(), scope);
    let (slices, count) = (Slices::default(), ReadyCount::continued(last));
    let counter = Counter { client, service, watch, slices, count, error: None, sender };
    tasks.spawn("distributors", counter.run());
    receiver
}

#[derive(Debug)]
struct Counter {
    client: KubeClient,
    service: NamespacedName,
    watch: Watch<EndpointSlice>,
    slices: Slices,
    count: ReadyCount,
    /// The error that was logged last.
    error: Option<ApiError>,
    sender: channel::Sender<Option<NonZeroU32>>,
}

impl Counter {
    async fn run(mut self) {
        loop {
            let falls_at = self.count.falls_at().map(Instant::from_std);
            tokio::select! {
                event = self.watch.next() => self.on_event(event).await,
                () = sleep_until(falls_at.unwrap_or_else(Instant::now)), if falls_at.is_some() => {}
            }
            self.publish();
        }
    }

    async fn on_event(&mut self, event: WatchEvent<EndpointSlice>) {
        match event {
            WatchEvent::Listed(slices) => self.slices.replace(slices),
            WatchEvent::Applied(slice) => self.slices.put(slice),
            WatchEvent::Deleted(slice) => self.slices.remove(&slice),
            WatchEvent::Failed(error) => return self.on_error(error).await,
        }
        if self.error.take().is_some() {
            tracing::info!(service = %self.service, "the distributors can be counted again");
        }
        self.count.observe(self.slices.ready(), Instant::now().into_std());
    }

    async fn on_error(&mut self, error: ApiError) {
        if error == ApiError::Unauthorized
            && let Err(renewal) = self.client.renew().await
        {
            tracing::debug!(%renewal, "rejected credentials could not be reloaded");
        }
        // Watches end and expire now and then, which is not worth a log line.
        if error == ApiError::Expired || self.error.as_ref().is_some_and(|known| known.is_like(&error)) {
            return;
        }
        let why = error.explain(RESOURCE, &self.service.namespace, None);
        tracing::warn!(service = %self.service, "the distributors cannot be counted, the last count stays: {why}");
        self.error = Some(error);
    }

    fn publish(&mut self) {
        let now = Instant::now().into_std();
        let count = self.count.published(now);
        let is_new = self.sender.send_if_modified(|published| std::mem::replace(published, count) != count);
        if let (true, Some(count)) = (is_new, count) {
            tracing::info!(service = %self.service, distributors = count, "the number of distributors has changed");
        }
    }
}

/// The ready addresses of a Service's EndpointSlices, by the slice's name.
#[derive(Debug, Default)]
struct Slices {
    by_name: HashMap<String, EndpointSlice>,
}

impl Slices {
    /// Replaces all slices.
    fn replace(&mut self, slices: Vec<EndpointSlice>) {
        self.by_name.clear();
        slices.into_iter().for_each(|slice| self.put(slice));
    }

    fn put(&mut self, slice: EndpointSlice) {
        if let Some(name) = &slice.metadata.name {
            self.by_name.insert(name.clone(), slice);
        }
    }

    fn remove(&mut self, slice: &EndpointSlice) {
        if let Some(name) = &slice.metadata.name {
            self.by_name.remove(name);
        }
    }

    /// The number of distinct ready addresses. A dual-stack Service lists each endpoint once per address family: the larger family counts.
    fn ready(&self) -> u32 {
        let mut families: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for slice in self.by_name.values() {
            let ready = slice.endpoints.iter().filter(|endpoint| is_ready(endpoint));
            // The API only defines the meaning of the first address.
            let addresses = ready.filter_map(|endpoint| endpoint.addresses.first()).map(String::as_str);
            families.entry(&slice.address_type).or_default().extend(addresses);
        }
        let most = families.values().map(HashSet::len).max().unwrap_or_default();
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

/// A missing condition means ready. `serving` is for Services that publish endpoints which are not ready, `terminating` for pods that are shutting down.
fn is_ready(endpoint: &Endpoint) -> bool {
    let Some(conditions) = &endpoint.conditions else { return true };
    conditions.ready != Some(false) && conditions.serving != Some(false) && conditions.terminating != Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(name: &str, family: &str, endpoints: &[Value]) -> EndpointSlice {
        let slice = json!({ "metadata": { "name": name }, "addressType": family, "endpoints": endpoints });
        serde_json::from_value(slice).unwrap()
    }

    fn up(address: &str) -> Value {
        json!({ "addresses": [address] })
    }

    #[track_caller]
    fn check(conditions: Value, expected: u32) {
        let mut slices = Slices::default();
        slices.put(slice("a", "IPv4", &[json!({ "addresses": ["10.0.0.1"], "conditions": conditions })]));
        assert_eq!(slices.ready(), expected, "{conditions}");
    }

    #[test]
    fn only_what_can_take_a_push_counts() {
        check(json!({}), 1);
        check(json!({ "ready": true, "serving": true, "terminating": false }), 1);
        check(json!({ "ready": false }), 0);
        check(json!({ "ready": true, "serving": false }), 0);
        check(json!({ "ready": true, "terminating": true }), 0);
        check(json!({ "ready": false, "serving": true, "terminating": true }), 0);
    }

    #[test]
    fn duplicate_addresses_and_dual_stack_endpoints_count_once() {
        let mut slices = Slices::default();
        slices.put(slice("a", "IPv4", &[up("10.0.0.1"), up("10.0.0.2")]));
        slices.put(slice("b", "IPv4", &[up("10.0.0.2"), up("10.0.0.3")]));
        slices.put(slice("c", "IPv6", &[up("fd00::1"), up("fd00::2")]));
        assert_eq!(slices.ready(), 3);
    }

    #[test]
    fn slices_are_replaced_changed_and_removed() {
        let mut slices = Slices::default();
        slices.replace(vec![slice("a", "IPv4", &[up("10.0.0.1")]), slice("b", "IPv4", &[up("10.0.0.2")])]);
        slices.put(slice("b", "IPv4", &[up("10.0.0.2"), up("10.0.0.3")]));
        assert_eq!(slices.ready(), 3);
        slices.remove(&slice("a", "IPv4", &[]));
        assert_eq!(slices.ready(), 2);
        slices.replace(vec![slice("c", "IPv4", &[up("10.0.0.9")])]);
        assert_eq!(slices.ready(), 1);
        slices.replace(vec![]);
        assert_eq!(slices.ready(), 0);
    }
}
