use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt, iter, unfold};
use limits::{EntryUpdate, LimitsState, Mode, TenantLimits};
use proto::edge::limits::v1::limits_feed_server::{LimitsFeed, LimitsFeedServer};
use proto::edge::limits::v1::{LocateRequest, LocateResponse, TenantLimits as Entry, Version, WatchRequest};
use tokio::net::TcpListener;
use tokio::time::{interval, timeout};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::*;
use crate::Freshness;

const DEADLINE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Sends one message to each client, and then heartbeats.
struct Server {
    age: Duration,
    part: LimitsPart,
}

#[tonic::async_trait]
impl LimitsFeed for Server {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let stale_millis = u64::try_from(self.age.as_millis()).unwrap();
        let heartbeat = Update::Heartbeat(Heartbeat { stale_millis, ..Heartbeat::default() });
        let first = [heartbeat.clone(), Update::Limits(self.part.clone())];
        let ticks = unfold(interval(Duration::from_millis(50)), |mut ticks| async {
            ticks.tick().await;
            Some(((), ticks))
        });
        let updates = iter(first).chain(ticks.map(move |()| heartbeat.clone()));
        Ok(Response::new(updates.map(|update| Ok(WatchResponse { update: Some(update) })).boxed()))
    }

    async fn locate(&self, _: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        Err(Status::unimplemented("as a server of an earlier build"))
    }
}

async fn serve(age: Duration, part: LimitsPart) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = LimitsFeedServer::new(Server { age, part });
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
    );
    address
}

fn state(request_rate: u32) -> LimitsState {
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let own_fields = format!("{{request_rate: {request_rate}}}");
    let put = vec![EntryUpdate { tenant: "a", mode: Mode::Enforce, own_fields: &own_fields }];
    let _ = state.update(&limits::Update { complete: true, put, removed: Vec::new() }).unwrap();
    state
}

/// All limits, of this revision of an object; of none where it is empty.
fn everything(request_rate: u32, revision: &str) -> LimitsPart {
    let uid = if revision.is_empty() { "" } else { "u" };
    let (uid, resource_version) = (uid.to_owned(), revision.to_owned());
    let content_sum = state(request_rate).current().unwrap().content_sum();
    let version = Some(Version { epoch: 1, sequence: 1, uid, resource_version, content_sum });
    let fields = format!("{{request_rate: {request_rate}}}");
    let put = vec![Entry { tenant: "a".to_owned(), mode: 0, fields }];
    LimitsPart { version, complete: true, last: true, put, removed: Vec::new() }
}

/// Asks `first` and then `second`, with limits of rate 1 that were confirmed `age` ago, until rate 3 is in force; which rates were on the way.
async fn rates_until_3(first: SocketAddr, second: SocketAddr, age: Duration) -> Vec<f64> {
    let mut servers = Servers::new(format!("http://{first},http://{second}").parse().unwrap());
    servers.has_ended(second);
    let state = state(1);
    let publisher = FeedPublisher::new(state.current(), Freshness::confirmed_ago(age), None);
    let mut states = publisher.feed().limits.states;
    let mut follower = Follower::new(servers, AppliedLimits::new(state), publisher);
    follower.stale_after = Duration::from_millis(100);
    let following = tokio::spawn(follower.follow());
    let mut rates = Vec::new();
    let is_3 = |state: &limits::LoadedLimits| {
        let rate = state.limits.as_ref().and_then(|limits| limits.entry("a")).map(|entry| entry.limits.request_rate);
        rates.extend(rate.filter(|rate| rates.last() != Some(rate)));
        rate == Some(3.0)
    };
    timeout(DEADLINE, states.wait_for(is_3)).await.unwrap().unwrap();
    following.abort();
    rates
}

#[tokio::test]
async fn a_server_that_fell_behind_is_replaced_by_another() {
    let behind = serve(HOUR, everything(2, "10")).await;
    let confirmed = serve(Duration::ZERO, everything(3, "11")).await;
    assert_eq!(rates_until_3(behind, confirmed, 2 * HOUR).await, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn cached_limits_of_a_server_do_not_replace_newer_ones() {
    let cached = serve(2 * HOUR, everything(2, "")).await;
    let confirmed = serve(Duration::ZERO, everything(3, "11")).await;
    assert_eq!(rates_until_3(cached, confirmed, HOUR).await, [1.0, 3.0]);
}
