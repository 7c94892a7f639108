//! What the tests share: a feed that ends with its test, and updates to be said.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use limits::{EntryUpdate, LimitsState, Mode, TenantLimits as Limits, Update};
use limits_source::{Feed, Freshness, LoadedLimits, follow_feed};
use proto::edge::limits::v1::{LimitsPart, Mode as FeedMode, TenantLimits, Version};
use tasks::Tasks;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a test waits for something that takes milliseconds, or some seconds by the rules of the feed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{what} within {DEADLINE:?}"))
}

/// A feed that ends with the test.
pub(crate) struct Client {
    pub(crate) feed: Feed,
    stop: CancellationToken,
}

impl Client {
    /// Starts without waiting for the first limits, which the test has yet to say.
    pub(crate) fn start(urls: &[String]) -> StartingClient {
        Self::start_from(&urls.join(","), state(), Freshness::default())
    }

    /// The same with limits that are so old.
    pub(crate) fn start_from(urls: &str, state: LimitsState, freshness: Freshness) -> StartingClient {
        Self::start_with(urls, state, freshness, None)
    }

    /// The same with a number of distributors, too.
    pub(crate) fn start_with(
        urls: &str,
        state: LimitsState,
        freshness: Freshness,
        distributors: Option<NonZeroU32>,
    ) -> StartingClient {
        let stop = CancellationToken::new();
        let (urls, tasks) = (urls.parse().unwrap(), Tasks::new(stop.clone()));
        let following = async move { follow_feed(urls, state, freshness, distributors, &tasks).await };
        StartingClient { starting: tokio::spawn(following), stop }
    }

    pub(crate) fn state(&self) -> LoadedLimits {
        self.feed.limits.states.borrow().clone()
    }

    /// The fields that each tenant says, in order of the tenants.
    pub(crate) fn tenants(&self) -> Vec<String> {
        tenants(&self.state())
    }

    /// Waits for limits with exactly these tenants.
    pub(crate) async fn has(&mut self, expected: &[&str]) {
        let states = &mut self.feed.limits.states;
        let seen = timeout(DEADLINE, states.wait_for(|state| tenants(state) == expected)).await.is_ok();
        assert!(seen, "waited for {expected:?}, and has {:?}", self.tenants());
    }

    /// Waits for a condition that has no channel.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Feed) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let wait = async {
            while !is_so(&self.feed) {
                ticks.tick().await;
            }
        };
        in_time(what, wait).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A feed that waits for its first limits.
pub(crate) struct StartingClient {
    starting: tokio::task::JoinHandle<Feed>,
    stop: CancellationToken,
}

impl StartingClient {
    pub(crate) async fn started(self) -> Client {
        let feed = in_time("the start", self.starting).await.expect("a feed");
        Client { feed, stop: self.stop }
    }
}

fn tenants(state: &LoadedLimits) -> Vec<String> {
    let Some(limits) = &state.limits else { return Vec::new() };
    limits.tenants().map(|(tenant, entry)| format!("{} {}", tenant.as_str(), entry.own_fields())).collect()
}

pub(crate) fn state() -> LimitsState {
    LimitsState::new(Limits::default(), false)
}

/// An entry, from `TENANT FIELDS` or `TENANT! FIELDS` for one in shadow.
pub(crate) fn entry(text: &str) -> TenantLimits {
    let (tenant, fields) = text.split_once(' ').unwrap();
    let (tenant, mode) = match tenant.strip_suffix('!') {
        Some(tenant) => (tenant, FeedMode::Shadow),
        None => (tenant, FeedMode::Enforce),
    };
    TenantLimits { tenant: tenant.to_owned(), mode: mode.into(), fields: fields.to_owned() }
}

fn entries(texts: &[&str]) -> Vec<TenantLimits> {
    texts.iter().map(|text| entry(text)).collect()
}

/// A state that holds these entries and nothing else.
pub(crate) fn state_with(texts: &[&str]) -> LimitsState {
    let entries = entries(texts);
    let put = entries.iter().map(|TenantLimits { tenant, mode, fields }| {
        let mode = if *mode == 0 { Mode::Enforce } else { Mode::Shadow };
        EntryUpdate { tenant, mode, own_fields: fields }
    });
    let mut state = LimitsState::new(Limits::default(), true);
    state.update(&Update { complete: true, put: put.collect(), removed: Vec::new() }).unwrap();
    state
}

/// The sum that a server sends for these entries.
pub(crate) fn sum(texts: &[&str]) -> u64 {
    state_with(texts).current().unwrap().content_sum()
}

/// The version of epoch 1 and revision `1000 + sequence` of one ConfigMap, with these entries.
pub(crate) fn version(sequence: u64, texts: &[&str]) -> Version {
    let resource_version = (1000 + sequence).to_string();
    Version { epoch: 1, sequence, uid: "u".to_owned(), resource_version, content_sum: sum(texts) }
}

/// All entries in one part.
pub(crate) fn everything(sequence: u64, texts: &[&str]) -> LimitsPart {
    let version = Some(version(sequence, texts));
    LimitsPart { version, complete: true, last: true, put: entries(texts), removed: Vec::new() }
}

/// What has changed, in one part; `now` are all entries after it.
pub(crate) fn delta(sequence: u64, put: &[&str], removed: &[&str], now: &[&str]) -> LimitsPart {
    let removed = removed.iter().map(ToString::to_string).collect();
    LimitsPart { version: Some(version(sequence, now)), complete: false, last: true, put: entries(put), removed }
}
