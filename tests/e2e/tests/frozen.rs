//! mimir-rls freezes for a while with calls in flight, and resumes.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{Edge, Load, Tally, abandon, push_request, samples, wait_until};

const LIMITS: &str = "overrides: { team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 } }";

#[test]
fn a_resumed_mimir_rls_causes_no_error_after_a_second() {
    const IN_FLIGHT: usize = 200;
    const ABANDONED: usize = 300;
    let edge = Edge::start(LIMITS);
    let connections = |what: &str| {
        let series = format!(r#"envoy_cluster_upstream_cx_{what}{{envoy_cluster_name="mimir_rls"}}"#);
        edge.envoy.metric(&series).unwrap_or_default()
    };
    let request = push_request("team", &samples(10).bytes);
    let load = Load::start(edge.port(), vec![request.clone(); 4]);
    load.wait_for_more_of(200, 100);
    let before = connections("total");

    let frozen = Instant::now();
    edge.rls.process.freeze();
    let (waiting, resumed) = thread::scope(|scope| {
        let waiting = scope.spawn(|| Tally::of_pushes_at_once(edge.port(), IN_FLIGHT, &request));
        abandon(edge.port(), ABANDONED, &request);
        // How long mimir-rls is frozen is a part of what is tested.
        wait_until(frozen + Duration::from_secs(3));
        edge.rls.process.resume();
        let resumed = Instant::now();
        (waiting.join().unwrap_or_default(), resumed)
    });
    // What is tested is that no error comes later than this second.
    wait_until(resumed + Duration::from_secs(1));
    load.wait_for_more_of(200, 100);
    let tally = load.stop();

    assert_eq!(waiting.of(200) + waiting.of(503), IN_FLIGHT, "{waiting:?}");
    assert_eq!(tally.of(200) + tally.of(503), tally.answers(), "{tally:?}");
    assert_eq!(tally.errors, [""; 0]);
    let last_error = tally.last_started.get(&503).map(|started| started.saturating_duration_since(resumed));
    assert!(last_error.unwrap_or_default() < Duration::from_secs(1), "{last_error:?}: {tally:?}");
    // A GOAWAY for too many resets would end connections with calls in flight, and be answered with new ones.
    assert_eq!(connections("destroy_remote_with_active_rq"), 0.0);
    assert!(connections("total") <= before + 2.0, "{before} connections before, {} now", connections("total"));
}
