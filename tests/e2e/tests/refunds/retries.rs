//! What Envoy does where the answer of mimir-rls is lost: it repeats a Check once, and a refund never, which would be given twice.

use e2e::{Behaviour, Envoy, EnvoySettings, FaultyUpstream, MimirRls, WatchedFile, send, until};
use tempfile::TempDir;

use super::relay::Relay;
use super::{LIMITS, Setup, tokens_of};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const REFUND: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// An edge with a relay between Envoy and mimir-rls.
struct Relayed {
    envoy: Envoy,
    relay: Relay,
    rls: MimirRls,
    upstream: FaultyUpstream,
    _limits: WatchedFile,
    _folder: TempDir,
}

impl Relayed {
    fn start() -> Self {
        let (folder, limits) = (tempfile::tempdir().expect("a folder can be made"), WatchedFile::of(LIMITS));
        let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
        until("mimir-rls is ready", || rls.readiness() == Some(200));
        let (relay, upstream) = (Relay::start(rls.grpc_port()), FaultyUpstream::start(Behaviour::Answer(200)));
        let settings =
            EnvoySettings { upstream_port: Some(upstream.port()), ..EnvoySettings::with_rls(vec![relay.port()]) };
        let envoy = Envoy::start(folder.path(), &settings);
        envoy.wait_for_healthy_rls(1);
        Self { envoy, relay, rls, upstream, _limits: limits, _folder: folder }
    }

    /// The status of a push, and how many calls of this path it makes.
    fn push(&self, path: &str) -> (u16, usize) {
        let before = self.relay.arrived(path);
        let status = send(self.envoy.port(), &Setup::request()).status;
        (status, self.relay.arrived(path) - before)
    }
}

#[test]
fn a_check_whose_answer_is_lost_is_repeated_once() {
    let edge = Relayed::start();
    assert_eq!(edge.push(CHECK), (200, 1));
    edge.relay.lose_answers(CHECK, 1);
    assert_eq!(edge.push(CHECK), (200, 2));
    edge.relay.lose_answers(CHECK, 2);
    assert_eq!(edge.push(CHECK), (503, 2), "a third one would have been answered");
}

#[test]
fn a_refund_whose_answer_is_lost_is_not_repeated() {
    const TAKEN: i64 = 30;
    const FAILED: usize = 20;
    let edge = Relayed::start();
    // Room in the buckets for what would be refunded twice.
    for _ in 0..TAKEN {
        assert_eq!(edge.push(CHECK), (200, 1));
    }
    let (requests, items) = tokens_of(&edge.rls, "t");
    assert_eq!((10_000 - requests, edge.relay.arrived(REFUND)), (TAKEN, 0));
    edge.upstream.set(Behaviour::Answer(503));
    edge.relay.lose_answers(REFUND, usize::MAX);
    for failed in 1..=FAILED {
        assert_eq!(edge.push(CHECK), (503, 1));
        // Envoy repeats a call within some milliseconds, before the next refund.
        until("the push is refunded", || edge.relay.arrived(REFUND) >= failed);
    }
    let refunded = || edge.rls.metric(r#"rls_refunds_total{cause="mimir_error"}"#);
    until("all refunds are counted", || refunded() >= Some(FAILED as f64));
    assert_eq!((edge.relay.arrived(REFUND), refunded()), (FAILED, Some(FAILED as f64)));
    assert_eq!(tokens_of(&edge.rls, "t"), (requests, items));
}
