//! A real Mimir that shuts down: with `mimir.readyPath` Envoy sends it no pushes while its listener is still open.

use e2e::{Edge, Load, Mimir, Signal, Upstream, WatchedFile, push_request, series, until};
use tempfile::tempdir;

const LIMITS: &str = "overrides: { team: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 } }";

fn healthy(edge: &Edge) -> Option<f64> {
    edge.envoy.metric(r#"envoy_cluster_membership_healthy{envoy_cluster_name="mimir"}"#)
}

#[test]
fn a_distributor_that_shuts_down_gets_no_pushes() {
    let folder = tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(LIMITS);
    let mut mimir = Mimir::start_with(&folder.path().join("mimir"), &limits.path(), &["-shutdown-delay=15s"]);
    let other = Upstream::start();
    let edge =
        Edge::builder().upstreams([mimir.port(), other.port()]).envoy_value("mimir.readyPath", "/ready").start(LIMITS);
    until("both are ready", || healthy(&edge) == Some(2.0));
    let push = push_request("team", &series(1).bytes);
    let load = Load::start(edge.port(), vec![push.clone(); 2]);
    load.wait_for_more_of(200, 50);
    let received = || {
        let series =
            r#"cortex_request_duration_seconds_count{method="POST",route="api_v1_push",status_code="200",ws="false"}"#;
        mimir.metric(series).unwrap_or_default()
    };
    assert!(received() > 0.0);

    mimir.process.signal(Signal::TERM);
    until("Envoy counts one", || healthy(&edge) == Some(1.0));
    // Workers learn a change of health a little after the metrics.
    until("50 pushes in a row are the other's", || {
        let before = received();
        load.wait_for_more_of(200, 50);
        received() == before
    });
    assert!(mimir.process.ended().is_none(), "Mimir ended before Envoy turned away from it");
    assert!(mimir.process.wait().success());
    let tally = load.stop();
    // A connection that Mimir closes just when Envoy uses it gives a 503, which clients retry.
    assert_eq!((tally.of(200) + tally.of(503), tally.errors.len()), (tally.answers(), 0), "{:?}", tally.statuses);
    assert!(tally.of(503) <= 2, "{:?}", tally.statuses);
}
