//! An API server that is down, hangs, has no old versions, or whose connection is dead.

use std::time::{Duration, Instant};

use e2e::{ADMIN, Cluster, until};
use limits::{LimitsState, SourceDocument, TenantLimits};

use super::proxy::Proxy;
use super::{Watched, rates};

/// What the source may be behind once the API server answers again.
const FRESH: Duration = Duration::from_secs(5);

#[test]
fn limits_survive_a_killed_api_server_and_recover_quickly() {
    let mut cluster = Cluster::start(&rates(&[("team", 1)]));
    let mut watched = Watched::start(&cluster);
    cluster.server.kill();
    let killed = Instant::now();
    until("the outage is a problem", || watched.reports("the request to the API server failed"));
    assert_eq!(watched.rate("team"), Some(1.0));
    cluster.server.restart();
    let back = Instant::now();
    watched.confirmed_since(killed);
    assert!(back.elapsed() < FRESH, "{:?}", back.elapsed());
    assert_eq!(watched.problems(), Vec::<String>::new());
    // The versions that the source knows are from before the start of the server's watch cache: the watch has to list again.
    assert!(watched.wait_for_rate("team", 2, cluster.put(&rates(&[("team", 2)]))) < FRESH);
    assert!(watched.counts.restarts.get() > 0 && watched.counts.failed_checks.get() > 0, "{:?}", watched.counts);
}

#[test]
fn cached_limits_hold_until_the_api_server_answers() {
    let mut cluster = Cluster::start(&rates(&[("team", 2)]));
    cluster.server.kill();
    let mut state = LimitsState::new(TenantLimits::default(), false);
    state.apply(&[SourceDocument::new("cache", &rates(&[("team", 1)]))]);
    let hour = Duration::from_secs(3_600);
    let began = Instant::now();
    let mut watched = Watched::with(&cluster.server.kubeconfig(ADMIN), state, hour);
    assert!(began.elapsed() < FRESH, "a start with limits waits 1 s at most: {:?}", began.elapsed());
    assert_eq!(watched.rate("team"), Some(1.0));
    assert!(watched.feed.freshness.age() >= hour && watched.state().origin.is_none());
    cluster.server.restart();
    assert!(watched.wait_for_rate("team", 2, Instant::now()) < FRESH);
    until("the limits are confirmed", || watched.feed.freshness.age() < FRESH);
}

#[test]
fn a_frozen_api_server_is_noticed_and_its_replacement_used() {
    let mut cluster = Cluster::start(&rates(&[("team", 1)]));
    let mut watched = Watched::start(&cluster);
    cluster.server.freeze();
    until("that nothing answers is a problem", || watched.reports("the request to the API server failed"));
    assert_eq!(watched.rate("team"), Some(1.0));
    cluster.server.resume();
    let resumed = Instant::now();
    until("everything is well again", || watched.problems().is_empty());
    assert!(resumed.elapsed() < FRESH + FRESH, "a request that hangs is given up after 5 s: {:?}", resumed.elapsed());
    assert!(watched.wait_for_rate("team", 2, cluster.put(&rates(&[("team", 2)]))) < FRESH);

    cluster.server.freeze();
    cluster.server.kill();
    cluster.server.restart();
    assert!(watched.wait_for_rate("team", 3, cluster.put(&rates(&[("team", 3)]))) < FRESH);
}

#[test]
fn the_next_check_notices_a_dead_connection() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    let proxy = Proxy::start(&cluster.server.url());
    let kubeconfig = proxy.kubeconfig(&cluster.server.kubeconfig(ADMIN));
    let state = LimitsState::new(TenantLimits::default(), false);
    let started = Instant::now();
    let mut watched = Watched::with(&kubeconfig, state, Duration::from_secs(60));
    assert_eq!(watched.rate("team"), Some(1.0));
    until("both connections are there", || watched.feed.freshness.age() < started.elapsed());
    proxy.forget_connections();
    // A check every 15 s, 5 s for the one that finds its own connection dead, 2 s for the next.
    let wait_for_rate = watched.wait_for_rate("team", 2, cluster.put(&rates(&[("team", 2)])));
    eprintln!("a change that the watch did not bring was found after {wait_for_rate:.1?}");
    until("the watch is made again", || watched.counts.restarts.get() > 0);
    let since = cluster.put(&rates(&[("team", 3)]));
    assert!(watched.wait_for_rate("team", 3, since) < FRESH);
}
