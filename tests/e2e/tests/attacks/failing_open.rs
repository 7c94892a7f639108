//! An Envoy that fails open forwards a push unchecked when its Check times out. A flood takes Envoy's time, so that it reads answers late.

use std::time::Duration;

use e2e::{Edge, Load, let_time_pass, push_request, report, samples};

use super::NEIGHBOURS_WAIT_IN_A_FLOOD;
use super::http2::{endless, flood};
use super::neighbours::during;

const LIMITS: &str = "
overrides:
  modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
  greedy: {}
";

/// Of a tenant over its limit and of neighbours, at most one in ten pushes passes unchecked, on any machine.
#[track_caller]
fn a_flood_lets_few_pushes_through(attack: &str, repeated: usize) {
    let edge = Edge::builder().failing_open().start(LIMITS);
    let push = push_request("over", &samples(10).bytes);
    assert_eq!(edge.send(&push).status, 429);
    let over = Load::start(edge.port(), vec![push; 20]);
    let (open, seen) = during(edge.port(), || {
        let open = flood(edge.port(), 700, &endless("POST", "/api/v1/push", repeated, &[]));
        let_time_pass(Duration::from_secs(3));
        open
    });
    let over = over.stop();
    let labels = r#"envoy_ext_authz_prefix="mimir_rls",envoy_http_conn_manager_prefix="push""#;
    let unchecked = edge.envoy.metric(&format!("envoy_http_ext_authz_failure_mode_allowed{{{labels}}}"));
    let unchecked = unchecked.expect("Envoy counts unchecked pushes");
    let arrived = edge.upstream.requests_of("over").len();
    let pushes = over.answers() + seen.pushes;
    report(&format!("{attack}: {unchecked} of {pushes} pushes passed unchecked, {arrived} of them over the limit"));
    seen.is_answered(&format!("{attack}, failing open"), NEIGHBOURS_WAIT_IN_A_FLOOD);
    assert!(over.of(429) > 0, "{over:?}");
    assert_eq!(arrived, over.of(200), "{over:?}");
    assert!(unchecked * 10.0 <= pushes as f64, "{unchecked} of {pushes}");
    drop(open);
}

#[test]
fn small_headers_let_few_pushes_pass_unchecked() {
    a_flood_lets_few_pushes_through("small headers", 0);
}

#[test]
fn indexed_headers_let_few_pushes_pass_unchecked() {
    a_flood_lets_few_pushes_through("indexed headers", 7);
}
