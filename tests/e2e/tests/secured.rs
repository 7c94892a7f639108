//! The whole edge with mTLS between its programs, and HTTPS with a token, as the charts turn it on.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod grpc;
mod http;
mod rejected;
mod rotation;

use e2e::{Authority, Edge, Secrets, SecuredEdge, free_port, recorded_limits, replay_recorded_quickly};

/// A tenant whose pushes pass, and one whose pushes of two samples do not.
const LIMITS: &str = "
overrides:
  within: { ingestion_rate: 10000000, ingestion_burst_size: 10000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
";

#[test]
fn recorded_cases_through_a_secured_edge_differ_in_nothing() {
    let secrets = Secrets::new(&[&Authority::new("edge")]);
    replay_recorded_quickly(|replay| {
        let upstream = free_port();
        let secured = SecuredEdge::start(Edge::builder().upstream(upstream), &secrets, &recorded_limits());
        replay(secured.edge.port(), &["--sink", &upstream.to_string()]);
    });
}
