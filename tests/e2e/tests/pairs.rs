//! Prometheus pairs with a real Mimir behind the edge, whose HA tracker elects the replicas.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{Edge, EdgeBuilder, Mimir, WatchedFile, throughout, until};
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use tempfile::tempdir;

/// Ten samples at once, and none comes back.
const LIMITS: &str = "
overrides:
  team: { accept_ha_samples: true, ingestion_rate: 0.0001, ingestion_burst_size: 10 }
  quick:
    accept_ha_samples: true
    ingestion_rate: 0.0001
    ingestion_burst_size: 10
    ha_tracker_update_timeout: 3s
    ha_tracker_update_timeout_jitter_max: 1ms
    ha_tracker_failover_timeout: 5s
";
/// The same, with as fast a failover as Mimir allows.
const FAST_FAILOVER: [&str; 3] = [
    "-distributor.ha-tracker.update-timeout=1s",
    "-distributor.ha-tracker.update-timeout-jitter-max=0s",
    "-distributor.ha-tracker.failover-timeout=2s",
];

/// A push of a replica: one new series with this many samples.
fn push(cluster: &str, replica: &str, samples: usize) -> Vec<u8> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("m{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut series = Series::sample(&[("__name__", &name), ("__replica__", replica), ("cluster", cluster)], 0.0, 0);
    series.samples = (0..samples).map(|index| (index as f64, 1_750_000_000_000 + index as i64)).collect();
    encode_push(Protocol::V1, &[series], &[]).expect("a push")
}

/// The status of a push of a replica with this many samples, from the edge or from Mimir behind it.
fn status(edge: &Edge, cluster: &str, replica: &str, samples: usize) -> u16 {
    edge.push("team", &push(cluster, replica, samples)).status
}

/// Whether the edge itself denies a push for its samples.
fn denied_by_edge(edge: &Edge, cluster: &str, replica: &str, samples: usize) -> bool {
    let response = edge.push("team", &push(cluster, replica, samples));
    response.reason().is_some_and(|reason| reason.starts_with("ingestion_")) && response.status == 429
}

struct Setup {
    mimir: Mimir,
    edge: Edge,
    folder: tempfile::TempDir,
}

fn start(flags: &[&str]) -> Setup {
    start_with(flags, Edge::builder())
}

fn start_with(flags: &[&str], edge: EdgeBuilder) -> Setup {
    let folder = tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(LIMITS);
    let mimir = Mimir::start_with(&folder.path().join("mimir"), &limits.path(), flags);
    let edge =
        edge.upstream(mimir.port()).rls_arguments(&["--ha-tracker-url", &mimir.ha_tracker_url()]).start_with(limits);
    Setup { mimir, edge, folder }
}

#[test]
fn mimirs_election_holds_after_a_restart() {
    let Setup { mut edge, mimir, folder: _folder } = start(&[]);
    assert_eq!(status(&edge, "one", "a", 4), 200);
    assert_eq!(status(&edge, "one", "b", 4), 202, "Mimir elected a");

    edge.rls.process.kill();
    edge.rls.restart();
    let restarted = Instant::now();
    edge.envoy.wait_for_healthy_rls(1);
    // b pushes first, and is elected here until Mimir's election arrives.
    until("the edge charges a", || {
        assert_eq!(status(&edge, "one", "b", 9), 202, "b is not denied");
        denied_by_edge(&edge, "one", "a", 11)
    });
    assert!(restarted.elapsed() < Duration::from_secs(10), "took {:?}", restarted.elapsed());

    // Mimir has 6 of a's tokens left, the restarted edge all 10: b took none of them.
    assert_eq!(status(&edge, "one", "a", 6), 200);
    assert!(denied_by_edge(&edge, "one", "a", 5), "a is charged");
    assert_eq!(status(&edge, "one", "a", 4), 429, "within the edge's limit, and over Mimir's");
    for samples in [1, 10, 11] {
        assert_eq!(status(&edge, "one", "b", samples), 202, "b is not charged");
    }
    let elections = r#"cortex_ha_tracker_elected_replica_changes_total{cluster="one",user="team"}"#;
    assert_eq!(mimir.metric(elections), Some(1.0), "a was elected all the time");
}

#[test]
fn a_failover_in_mimir_is_followed() {
    let Setup { edge, mimir: _mimir, folder: _folder } = start(&FAST_FAILOVER);
    assert_eq!(status(&edge, "one", "a", 2), 200);
    until("the edge charges a", || denied_by_edge(&edge, "one", "a", 11));
    // a falls silent. Mimir takes b after some seconds, and the edge hears of it.
    until("the edge charges b", || denied_by_edge(&edge, "one", "b", 11));
    assert_eq!(status(&edge, "one", "a", 11), 202, "a is not elected any more");
}

/// Mimir elects by what reaches it. An edge that denied all that its elected replica sends would have it elect the other one.
#[track_caller]
fn check_stays_elected(edge: EdgeBuilder) {
    let Setup { edge, mimir, folder: _folder } = start_with(&FAST_FAILOVER, edge);
    let send = |replica: &str, samples: usize| edge.push("quick", &push("one", replica, samples));
    assert_eq!(send("a", 2).status, 200);
    let elections = r#"cortex_ha_tracker_elected_replica_changes_total{cluster="one",user="quick"}"#;
    let mut denied = 0;
    // Mimir elects another replica once a failover timeout of 5 s is over: three of them have to pass.
    throughout(Duration::from_secs(16), || {
        let answer = send("a", 11);
        assert_eq!(answer.status, 429, "a is over its limit");
        denied += usize::from(answer.reason().is_some());
        assert_eq!(send("b", 11).status, 202, "b is not elected");
    });
    assert_eq!(mimir.metric(elections), Some(1.0), "a stays elected");
    assert!(denied > 10, "{denied} pushes of a were denied by the edge");
}

#[test]
fn a_replica_stays_elected_while_check_denies_all_its_pushes() {
    check_stays_elected(Edge::builder());
}

#[test]
fn a_replica_stays_elected_while_should_rate_limit_denies_it() {
    check_stays_elected(Edge::builder().charge_samples_in_rate_limit());
}

#[test]
fn a_lost_ha_tracker_causes_no_wrong_denial() {
    let Setup { edge, mimir, folder: _folder } = start(&[]);
    assert_eq!(status(&edge, "one", "a", 2), 200);
    until("the edge charges a", || denied_by_edge(&edge, "one", "a", 11));
    drop(mimir);
    until("the edge notices", || edge.rls.metric(r#"rls_ha_tracker_polls_total{result="error"}"#) > Some(0.0));
    // Mimir's last elections hold for a while. No replica of a cluster that it never named is denied.
    until("a is charged still", || denied_by_edge(&edge, "one", "a", 11));
    assert!(!denied_by_edge(&edge, "one", "b", 11));
    assert!(!denied_by_edge(&edge, "two", "a", 11));
    // Then it may be out of date, and a is denied nothing either.
    until("the last election expires", || !denied_by_edge(&edge, "one", "a", 11));
}
