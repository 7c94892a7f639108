//! Bodies that are not decoded (`limits.enforceBodyParsing=false`): Envoy sends them or not, mimir-rls decodes them or not.

use e2e::{Body, Edge, Request, noisy, push_request, samples};

/// A rate of 0.001 gives back 1 token in 1000 s: within a test, a bucket is its burst.
const LIMITS: &str = "
overrides:
  team: { ingestion_rate: 1000000, ingestion_burst_size: 10000000 }
  samples: { ingestion_rate: 0.001, ingestion_burst_size: 100 }
  requests: { request_rate: 0.001, request_burst_size: 3 }
";

const EDGE_CONFIG: &str = "{ mode: enforce, tenants: { brief: { edge_limits: { max_body_bytes: 1000 } } } }";

#[derive(Clone, Copy, Debug)]
struct Combination {
    envoy_sends: bool,
    rls_decodes: bool,
    /// Whether Envoy's ratelimit filter charges the samples.
    rate_limit: bool,
}

impl Combination {
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self { envoy_sends: bits & 1 == 0, rls_decodes: bits & 2 == 0, rate_limit: bits & 4 != 0 })
    }

    fn start(self) -> Edge {
        let mut edge = Edge::builder().rls_arguments(&[if self.rls_decodes {
            "--decode-bodies=on"
        } else {
            "--decode-bodies=off"
        }]);
        if self.rate_limit {
            edge = edge.charge_samples_in_rate_limit();
        }
        if !self.envoy_sends {
            edge = edge.without_bodies();
        }
        edge.edge_config(EDGE_CONFIG).start(LIMITS)
    }

    fn limits_samples(self) -> bool {
        self.envoy_sends && self.rls_decodes
    }
}

/// Pushes that Mimir takes, in every framing and spelling.
fn legal(tenant: &str) -> Vec<Request> {
    let Body { bytes, .. } = samples(10);
    let large = noisy(2_000_000);
    vec![
        push_request(tenant, &bytes),
        push_request(&format!("{tenant}|{tenant}"), &bytes),
        push_request(&format!("{tenant}:k=v"), &bytes),
        push_request(tenant, &bytes).chunked(10),
        push_request(tenant, &large.bytes),
        push_request(tenant, &samples(0).bytes),
    ]
}

#[test]
fn no_combination_refuses_or_changes_a_legal_push() {
    for combination in Combination::all() {
        let edge = combination.start();
        for (number, request) in legal("team").iter().enumerate() {
            let answer = edge.send(request);
            assert_eq!(answer.status, 200, "{combination:?}, push {number}: {}", answer.text());
        }
        let arrivals = edge.sink.arrivals();
        assert_eq!(arrivals.len(), 6, "{combination:?}");
        let arrived: usize = arrivals.iter().map(|arrival| arrival.body.len()).sum();
        let sent = 4 * samples(10).bytes.len() + noisy(2_000_000).bytes.len() + samples(0).bytes.len();
        assert_eq!(arrived, sent, "{combination:?}: Mimir gets the bodies in any case");
    }
}

#[test]
fn samples_are_limited_only_where_bodies_are_sent_and_read_requests_and_sizes_always() {
    for combination in Combination::all() {
        let edge = combination.start();
        let body = samples(60).bytes;
        let statuses: Vec<u16> = (0..3).map(|_| edge.push("samples", &body).status).collect();
        let expected = if combination.limits_samples() { [200, 429, 429] } else { [200; 3] };
        assert_eq!(statuses, expected, "{combination:?}");
        let garbage = if combination.limits_samples() { 400 } else { 200 };
        assert_eq!(edge.push("other", b"garbage").status, garbage, "{combination:?}");

        let statuses: Vec<u16> = (0..5).map(|_| edge.push("requests", &samples(1).bytes).status).collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429], "{combination:?}");
        let statuses: Vec<u16> = [100, 2000].map(|bytes| edge.push("brief", &noisy(bytes).bytes).status).to_vec();
        assert_eq!(statuses, [200, 413], "{combination:?}");
        let not_decoded = r#"rls_decisions_total{decision="allow",mode="enforce",reason="body_not_decoded"}"#;
        let expected = if combination.limits_samples() { 0.0 } else { 8.0 };
        assert_eq!(edge.rls.metric(not_decoded), Some(expected), "{combination:?}");
        let asked = r#"rls_rate_limit_descriptors_total{code="ok",descriptor="tenant"}"#;
        assert!(
            combination.limits_samples() || edge.rls.metric(asked).unwrap_or_default() == 0.0,
            "{combination:?}: samples were charged"
        );
    }
}
