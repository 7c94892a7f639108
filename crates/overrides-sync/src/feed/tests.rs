use std::sync::Weak;
use std::time::Duration;

use limits::{EntryUpdate, LimitsState, LoadedLimits, Mode, Snapshot, TenantLimits, Update};
use limits_source::{Freshness, LimitsFeed as Source};
use prometheus::Registry;
use proto::edge::limits::v1::limits_feed_client::LimitsFeedClient;
use proto::edge::limits::v1::limits_feed_server::LimitsFeedServer;
use proto::edge::limits::v1::watch_response::Update as Content;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};

use super::*;
use crate::publication::{HistoryBounds, Publisher};

const DEADLINE: Duration = Duration::from_secs(60);
/// The smallest that HTTP/2 allows a client to open with.
const WINDOW: u32 = 65_535;

/// A feed whose limits the test changes.
struct Feed {
    state: LimitsState,
    states: watch::Sender<LoadedLimits>,
    service: FeedService,
    registry: Registry,
}

impl Feed {
    fn new() -> Self {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let metrics = Metrics::new(&registry).unwrap();
        let states = watch::Sender::new(LoadedLimits::default());
        let source = Source { states: states.subscribe(), freshness: Freshness::default() };
        let publisher = Publisher::new(1, HistoryBounds { changes: 100, keys: 1_000 });
        let documents = Documents::new(states.subscribe(), None);
        let (limits, problems) = publish(publisher, source, &Tasks::new(stop.clone()), |_, _| {});
        let (_, distributors) = watch::channel(None);
        let inputs = Inputs { limits, problems, freshness: Freshness::default(), distributors, ha_tracker: None };
        let service = FeedService::new(inputs, documents, metrics, stop);
        Self { state: LimitsState::new(TenantLimits::default(), true), states, service, registry }
    }

    /// Puts entries, and waits until they are published.
    async fn put(&mut self, entries: &[(String, String)]) -> Weak<Snapshot> {
        let put = entries.iter().map(|(tenant, own_fields)| EntryUpdate { tenant, mode: Mode::Enforce, own_fields });
        let update = Update { complete: false, put: put.collect(), removed: Vec::new() };
        let limits = self.state.update(&update).unwrap().snapshot;
        let held = Arc::downgrade(&limits);
        let version = limits.version();
        self.states.send_replace(LoadedLimits { limits: Some(limits), ..LoadedLimits::default() });
        let mut published = self.service.inputs.limits.clone();
        let is_new = |now: &Option<Arc<_>>| now.as_ref().is_some_and(|now| sequence(now) == version);
        timeout(DEADLINE, published.wait_for(is_new)).await.unwrap().unwrap();
        held
    }

    async fn serve(&self) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder().add_service(LimitsFeedServer::new(self.service.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Endpoint::from_shared(format!("http://{address}")).unwrap()
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let metric = &families.iter().find(|family| family.name() == name).unwrap().get_metric()[0];
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    }
}

fn sequence(published: &crate::publication::Published) -> u64 {
    published.version().sequence
}

#[tokio::test]
async fn a_slow_client_costs_no_queue_and_gets_the_newest() {
    let mut feed = Feed::new();
    let long = |tenant: usize| (format!("t{tenant}"), format!("{{ha_cluster_label: {}}}", "x".repeat(1_000)));
    feed.put(&(0..200).map(long).collect::<Vec<_>>()).await;

    let endpoint = feed.serve().await.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let mut client = LimitsFeedClient::new(endpoint.connect().await.unwrap());
    let mut stream = client.watch(WatchRequest::default()).await.unwrap().into_inner();

    let mut snapshots = Vec::new();
    for change in 0..1_000 {
        snapshots.push(feed.put(&[(format!("t{}", change % 200), format!("{{ingestion_rate: {change}}}"))]).await);
    }
    let held = snapshots.iter().filter(|snapshot| snapshot.strong_count() > 0).count();
    assert!(held <= 3, "{held} old snapshots are held for a client that does not read");

    let mut updates = Vec::new();
    while updates.last() != Some(&1_001) {
        let message = timeout(DEADLINE, stream.message()).await.unwrap().unwrap().unwrap();
        let Some(Content::Limits(part)) = message.update else { continue };
        updates.extend(part.version.filter(|_| part.last).map(|version| version.sequence));
    }
    assert!(updates.len() <= 5, "what was in flight, and then the newest: {updates:?}");
}

#[tokio::test]
async fn one_client_too_many_is_rejected_and_counted() {
    let mut feed = Feed::new();
    feed.put(&[("t".to_owned(), "{ingestion_rate: 1}".to_owned())]).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_CLIENTS {
        streams.push(feed.service.watch(Request::new(WatchRequest::default())).await.unwrap());
    }
    let rejected = feed.service.watch(Request::new(WatchRequest::default())).await.err().unwrap();
    assert_eq!(rejected.code(), tonic::Code::ResourceExhausted);
    assert!(rejected.message().contains("1000 clients"), "{}", rejected.message());
    assert_eq!(feed.metric("overrides_sync_feed_clients_rejected_total"), 1.0);
    assert_eq!(feed.metric("overrides_sync_feed_clients"), 1_000.0);

    streams.pop();
    assert_eq!(feed.metric("overrides_sync_feed_clients"), 999.0);
    assert!(feed.service.watch(Request::new(WatchRequest::default())).await.is_ok(), "a place came back");
}
