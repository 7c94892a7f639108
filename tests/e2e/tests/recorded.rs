//! The recorded cases of a real Mimir, replayed through the real Envoy: with an upstream that keeps what reaches it, with a real Mimir, and with the
//! limits in a ConfigMap.

use e2e::{Edge, Mimir, free_port, recorded_limits, recorded_limits_file, replay_recorded};
use tempfile::tempdir;

#[test]
fn the_edge_answers_what_mimir_answered() {
    replay_recorded(|replay| {
        let upstream = free_port();
        let edge = Edge::builder().upstream(upstream).start(&recorded_limits());
        replay(edge.port(), &["--sink", &upstream.to_string()]);
    });
}

#[test]
fn an_edge_before_mimir_answers_exactly_as_mimir_does() {
    replay_recorded(|replay| {
        let folder = tempdir().expect("a temporary folder");
        let mimir = Mimir::start(folder.path(), &recorded_limits_file());
        let edge = Edge::builder().upstream(mimir.port()).start(&recorded_limits());
        replay(edge.port(), &["--upstream", "mimir"]);
    });
}
