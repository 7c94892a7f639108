//! Charges for pushes that Mimir did not accept come back, and nothing that a client sends causes a refund. Envoy is real; a faulty upstream
//! is in place of Mimir.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod raw_http2;
mod relay;
mod retries;

use std::thread;

use e2e::{
    Behaviour, Connection, Edge, EdgeBuilder, FaultyUpstream, MimirRls, Request, StreamEnd, push_request, samples,
    until,
};
use raw_http2::Push;
use serde_json::Value;

/// A rate of 0.001 gives back 1 token in 1000 s: within a test, only refunds fill a bucket.
const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 0.001, ingestion_burst_size: 1000000, request_rate: 0.001, request_burst_size: 10000 }
  u: { ingestion_rate: 0.001, ingestion_burst_size: 10000 }
";
/// Samples of a push.
const PUSH: usize = 60;

/// An edge, and a faulty upstream in place of Mimir.
struct Setup {
    edge: Edge,
    upstream: FaultyUpstream,
}

impl Setup {
    fn start(builder: EdgeBuilder) -> Self {
        let upstream = FaultyUpstream::start(Behaviour::Answer(200));
        Self { edge: builder.upstream(upstream.port()).start(LIMITS), upstream }
    }

    fn request() -> Request {
        push_request("t", &samples(PUSH).bytes)
    }

    #[track_caller]
    fn tokens(&self, tenant: &str) -> (i64, i64) {
        tokens_of(&self.edge.rls, tenant)
    }

    fn counted(&self, cause: &str) -> f64 {
        self.edge.rls.metric(&format!(r#"rls_refunds_total{{cause="{cause}"}}"#)).unwrap_or(-1.0)
    }

    fn all_counted(&self) -> f64 {
        ["no_answer", "mimir_error", "mimir_denied", "other_process", "unknown"]
            .map(|cause| self.counted(cause))
            .iter()
            .sum()
    }

    /// Checks that a push costs nothing while Mimir behaves like this, once its charge has come back.
    #[track_caller]
    fn check_refund(&self, behaviour: Behaviour, status: u16, cause: &str) {
        let (before, counted) = (self.tokens("t"), self.counted(cause));
        self.upstream.set(behaviour);
        assert_eq!(self.edge.send(&Self::request()).status, status, "{behaviour:?}");
        self.check_refunded(before, cause, counted + self.refunds_per_push());
    }

    #[track_caller]
    fn check_refunded(&self, before: (i64, i64), cause: &str, counted: f64) {
        until(&format!("{cause} is counted"), || self.counted(cause) >= counted);
        assert_eq!((self.tokens("t"), self.counted(cause)), (before, counted), "{cause}");
    }

    /// Refunds of one push: two, where ShouldRateLimit charges the samples, because two calls charge it.
    fn refunds_per_push(&self) -> f64 {
        if self.edge.rls.metric("rls_left_to_rate_limit_total") > Some(0.0) { 2.0 } else { 1.0 }
    }

    /// Checks that a push with another response stays charged. A refund of it would arrive before the next push's refund: both use the same
    /// connection.
    #[track_caller]
    fn check_stays_charged(&self, what: &str, send: impl FnOnce(&Edge)) {
        let ((requests, items), counted) = (self.tokens("t"), self.all_counted());
        send(&self.edge);
        until(&format!("{what}: it is charged"), || self.tokens("t") == (requests - 1, items - PUSH as i64));
        self.check_no_refund(what, counted);
    }

    /// Checks that pushes cost what they hold if they reach Mimir. A client may disconnect before its push arrives.
    #[track_caller]
    fn check_charges_what_mimir_received(&self, what: &str, send: impl FnOnce()) {
        let ((requests, items), arrived) = (self.tokens("t"), self.upstream.received());
        send();
        until(&format!("{what} cost what Mimir took"), || {
            let taken = i64::try_from(self.upstream.received() - arrived).expect("not so many");
            self.tokens("t") == (requests - taken, items - taken * PUSH as i64)
        });
    }

    /// Checks that nothing else came back: after the refund of a later push, the refunds of all earlier ones would be there.
    #[track_caller]
    fn check_no_refund(&self, what: &str, counted: f64) {
        let (before, errors) = (self.tokens("t"), self.counted("mimir_error"));
        self.upstream.set(Behaviour::Answer(503));
        for another in 1..=2 {
            assert_eq!(self.edge.send(&Self::request()).status, 503);
            let due = errors + f64::from(another) * self.refunds_per_push();
            until("a push comes back", || self.counted("mimir_error") >= due);
        }
        assert_eq!((self.tokens("t"), self.all_counted()), (before, counted + 2.0 * self.refunds_per_push()), "{what}");
    }
}

/// Whole tokens that a tenant has left of requests and items.
#[track_caller]
fn tokens_of(rls: &MimirRls, tenant: &str) -> (i64, i64) {
    let page = rls.get(&format!("/api/v1/tenants/{tenant}")).json();
    let tokens = |bucket: &str| page.pointer(bucket).and_then(Value::as_f64).map_or(-1, |tokens| tokens as i64);
    (tokens("/request/tokens"), tokens("/ingestion/tokens"))
}

fn check_refunds(setup: &Setup) {
    let full = (10_000, 1_000_000);
    assert_eq!(setup.tokens("t"), full);
    setup.upstream.set(Behaviour::NoAnswer);
    thread::scope(|scope| {
        let silent = scope.spawn(|| setup.edge.send(&Setup::request()).status);
        until("a push waits for an answer", || setup.upstream.received() == 1);
        assert_eq!(setup.tokens("t"), (full.0 - 1, full.1 - PUSH as i64));
        for (behaviour, status, cause) in [
            (Behaviour::Answer(501), 501, "mimir_error"),
            (Behaviour::Answer(503), 503, "mimir_error"),
            (Behaviour::Answer(599), 599, "mimir_error"),
            (Behaviour::Answer(429), 429, "mimir_denied"),
            (Behaviour::Answer(529), 529, "mimir_denied"),
            (Behaviour::CloseConnection, 503, "no_answer"),
        ] {
            setup.check_refund(behaviour, status, cause);
        }
        check_other_statuses_stay_charged(setup);
        check_headers_cause_no_refund(setup);
        check_http2_fields_cause_no_refund(setup);
        check_repeated_tenants(setup);
        let ((requests, items), counted) = (setup.tokens("t"), setup.counted("no_answer"));
        assert_eq!(silent.join().expect("it is answered"), 504);
        setup.check_refunded((requests + 1, items + PUSH as i64), "no_answer", counted + setup.refunds_per_push());
    });
}

fn check_other_statuses_stay_charged(setup: &Setup) {
    for status in [200, 202, 204, 302, 400, 404, 413, 422, 428, 430, 499] {
        setup.upstream.set(Behaviour::Answer(status));
        setup.check_stays_charged(&status.to_string(), |edge| assert_eq!(edge.send(&Setup::request()).status, status));
    }
    setup.upstream.set(Behaviour::NoAnswer);
    setup.check_stays_charged("a client that does not wait", |edge| {
        let (mut connection, arrived) =
            (Connection::open(edge.port()).expect("Envoy takes a connection"), setup.upstream.received());
        connection.begin(&Setup::request()).expect("a push can be sent");
        until("the push waits for Mimir", || setup.upstream.received() > arrived);
    });
}

/// What a client could hope to be taken for an answer of Mimir, a word of Envoy, or a receipt.
const NAMES: [&str; 27] = [
    ":none",
    "none",
    "x-none",
    "refund",
    "charge",
    "cause",
    "response.code",
    "response.code_details",
    ":status",
    "x-envoy-ratelimited",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-overloaded",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-mimir-edge-refund",
    "x-mimir-edge-tenants",
    "x-envoy-auth-failure-mode-allowed",
    "grpc-timeout",
    "grpc-status",
    "te",
    "trailer",
    "connection",
    "upgrade",
    "expect",
    "envoy.filters.http.ext_authz",
];
const VALUES: [&str; 8] = ["1", "0", "no_answer", "mimir_error", "503", "0/1/1000/t", "via_upstream", "trailers"];

fn check_headers_cause_no_refund(setup: &Setup) {
    let counted = setup.all_counted();
    setup.upstream.set(Behaviour::Answer(200));
    setup.check_charges_what_mimir_received("headers", || {
        for (name, value) in NAMES.iter().flat_map(|name| VALUES.map(|value| (name, value))) {
            // Some are no HTTP: such a request is rejected, or its connection ends.
            let request = Setup::request().header(name, value);
            drop(Connection::open(setup.edge.port()).and_then(|mut open| open.send(&request)));
        }
    });
    setup.check_no_refund("headers", counted);
}

fn check_http2_fields_cause_no_refund(setup: &Setup) {
    let (counted, body) = (setup.all_counted(), samples(PUSH).bytes);
    let mut answered = 0;
    setup.upstream.set(Behaviour::Answer(200));
    setup.check_charges_what_mimir_received("headers and trailers", || {
        for name in NAMES {
            for value in ["no_answer", "503"] {
                let push = |headers: &[(&str, &str)], trailers: &[(&str, &str)]| {
                    let push =
                        Push::send(setup.edge.port(), headers, &body, trailers).expect("Envoy takes a connection");
                    push.end().expect("it answers")
                };
                let ends = [push(&[(name, value)], &[]), push(&[], &[(name, value)])];
                if name.starts_with(':') {
                    assert_eq!(ends, [StreamEnd::Reset; 2], "{name}");
                }
                answered += ends.iter().filter(|end| **end == StreamEnd::Answered).count();
            }
        }
    });
    assert!(answered > NAMES.len(), "{answered} pushes were answered");
    setup.check_no_refund("headers and trailers", counted);
    setup.upstream.set(Behaviour::NoAnswer);
    setup.check_stays_charged("a client that takes its push back", |edge| {
        let arrived = setup.upstream.received();
        let push = Push::send(edge.port(), &[], &body, &[]).expect("Envoy takes a connection");
        until("the push waits for Mimir", || setup.upstream.received() > arrived);
        push.reset().expect("a reset can be sent");
    });
}

/// Two tenants: nothing is charged, and nothing comes back to either. One that is sent twice is charged once, and gets that back.
fn check_repeated_tenants(setup: &Setup) {
    let (before, counted) = (setup.tokens("t"), setup.all_counted());
    setup.upstream.set(Behaviour::Answer(503));
    let twice = |second: &str| setup.edge.send(&Setup::request().header("X-Scope-OrgID", second)).status;
    assert_eq!(["u", "", "t,u"].map(twice), [400; 3]);
    assert_eq!((setup.tokens("t"), setup.tokens("u")), (before, (-1, 10_000)));
    setup.check_no_refund("two tenants", counted);
    let (before, counted) = (setup.tokens("t"), setup.counted("mimir_error"));
    assert_eq!(twice("t"), 503);
    setup.check_refunded(before, "mimir_error", counted + setup.refunds_per_push());
}

#[test]
fn charges_of_check_come_back() {
    check_refunds(&Setup::start(Edge::builder()));
}

#[test]
fn charges_of_should_rate_limit_come_back_too() {
    check_refunds(&Setup::start(Edge::builder().charge_samples_in_rate_limit()));
}

#[test]
fn a_refund_reaches_the_process_that_charged() {
    let tenants: Vec<String> = (0..30).map(|number| format!("tenant-{number}")).chain(["a:k=v".to_owned()]).collect();
    let upstream = FaultyUpstream::start(Behaviour::Answer(503));
    let edge = Edge::builder().replicas(3).upstream(upstream.port()).start(LIMITS);
    edge.envoy.wait_for_healthy_rls(3);
    let replicas: Vec<_> = edge.all_rls().collect();
    let counted = |cause: &str| {
        let series = format!(r#"rls_refunds_total{{cause="{cause}"}}"#);
        replicas.iter().map(|rls| rls.metric(&series).unwrap_or_default()).collect::<Vec<_>>()
    };
    for tenant in &tenants {
        for spelling in [tenant.clone(), format!("{tenant}|{tenant}")] {
            assert_eq!(edge.push(&spelling, &samples(PUSH).bytes).status, 503, "{spelling}");
        }
    }
    until("all come back", || counted("mimir_error").iter().sum::<f64>() >= 2.0 * tenants.len() as f64);
    let seen = counted("mimir_error");
    assert!(seen.iter().all(|refunds| *refunds > 0.0), "all three decide: {seen:?}");
    assert_eq!((counted("other_process"), counted("unknown")), (vec![0.0; 3], vec![0.0; 3]));
}

#[test]
fn requests_come_back_without_bodies_and_when_failing_open() {
    for builder in [Edge::builder().without_bodies(), Edge::builder().failing_open()] {
        let setup = Setup::start(builder);
        setup.check_refund(Behaviour::Answer(503), 503, "mimir_error");
        setup.check_refund(Behaviour::CloseConnection, 503, "no_answer");
    }
}

#[test]
fn mirror_and_shadow_edges_refund_nothing() {
    let setup = Setup::start(Edge::builder().edge_config("{ tenants: { t: { mode: off } } }"));
    setup.upstream.set(Behaviour::Answer(503));
    assert_eq!(setup.edge.send(&Setup::request()).status, 503);
    // A copy is answered by Envoy itself, with 200.
    let copy = push_request("u", &samples(PUSH).bytes).header("X-Mimir-Edge-Traffic", "mirror");
    assert_eq!(setup.edge.send(&copy).status, 200);
    assert_eq!(setup.edge.push("u", &samples(PUSH).bytes).status, 503);
    until("a push that was charged comes back", || setup.counted("mimir_error") == 1.0);
    assert_eq!((setup.tokens("u").1, setup.all_counted()), (10_000 - PUSH as i64, 1.0));
}
