//! The recorded cases of a real Mimir, replayed through the real Envoy: with a sink that notes what reaches it, with a real Mimir, and with the
//! limits in a ConfigMap.

use e2e::{Edge, Mimir, free_port, recorded_limits, recorded_limits_file, replay_recorded};
use tempfile::tempdir;

#[test]
fn the_edge_answers_what_mimir_answered() {
    replay_recorded(|replay| {
        let sink = free_port();
        let edge = Edge::builder().upstream(sink).start(&recorded_limits());
        replay(edge.port(), &["--sink", &sink.to_string()]);
    });
}

#[test]
fn with_a_mimir_behind_it_no_client_can_tell_the_edge_from_mimir() {
    replay_recorded(|replay| {
        let folder = tempdir().expect("a temporary folder");
        let mimir = Mimir::start(folder.path(), &recorded_limits_file());
        let edge = Edge::builder().upstream(mimir.port()).start(&recorded_limits());
        replay(edge.port(), &["--upstream", "mimir"]);
    });
}
