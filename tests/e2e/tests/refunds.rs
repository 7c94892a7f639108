//! What Mimir did not take comes back, and nothing that a client sends makes anything come back. Envoy is real, and what stands for Mimir fails
//! as it is told.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod raw_http2;

use std::thread;

use e2e::{Connection, Door, Edge, EdgeBuilder, Gate, Request, push_request, samples, until};
use raw_http2::{End, Push};
use serde_json::Value;

/// A rate of 0.001 gives back 1 token in 1000 s: within a test, only refunds fill a bucket.
const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 0.001, ingestion_burst_size: 1000000, request_rate: 0.001, request_burst_size: 10000 }
  u: { ingestion_rate: 0.001, ingestion_burst_size: 10000 }
";
/// Samples of a push.
const PUSH: usize = 60;

/// An edge, and what stands for Mimir behind it.
struct Failing {
    edge: Edge,
    gate: Gate,
}

impl Failing {
    fn start(builder: EdgeBuilder) -> Self {
        let gate = Gate::start(Door::Answer(200));
        Self { edge: builder.upstream(gate.port()).start(LIMITS), gate }
    }

    fn request() -> Request {
        push_request("t", &samples(PUSH).bytes)
    }

    /// Whole tokens that a tenant has left of requests and items.
    #[track_caller]
    fn left(&self, tenant: &str) -> (i64, i64) {
        let page = self.edge.rls.get(&format!("/api/v1/tenants/{tenant}")).json();
        let tokens = |bucket: &str| page.pointer(bucket).and_then(Value::as_f64).map_or(-1, |tokens| tokens as i64);
        (tokens("/request/tokens"), tokens("/ingestion/tokens"))
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

    /// What a push costs while Mimir does this, once what comes back is back.
    #[track_caller]
    fn comes_back(&self, door: Door, status: u16, cause: &str) {
        let (before, counted) = (self.left("t"), self.counted(cause));
        self.gate.set(door);
        assert_eq!(self.edge.send(&Self::request()).status, status, "{door:?}");
        self.gives_back(before, cause, counted + self.of_a_push());
    }

    #[track_caller]
    fn gives_back(&self, before: (i64, i64), cause: &str, counted: f64) {
        until(&format!("{cause} is counted"), || self.counted(cause) >= counted);
        assert_eq!((self.left("t"), self.counted(cause)), (before, counted), "{cause}");
    }

    /// Two calls charge a push where the rate limit call charges the samples.
    fn of_a_push(&self) -> f64 {
        if self.edge.rls.metric("rls_left_to_rate_limit_total") > Some(0.0) { 2.0 } else { 1.0 }
    }

    /// A push that is answered in another way than those above stays charged. What is asked for it would be asked before the next push's
    /// refund: both take the same connection.
    #[track_caller]
    fn stays_charged(&self, what: &str, send: impl FnOnce(&Edge)) {
        let ((requests, items), counted) = (self.left("t"), self.all_counted());
        send(&self.edge);
        until(&format!("{what}: it is charged"), || self.left("t") == (requests - 1, items - PUSH as i64));
        self.nothing_comes_back(what, counted);
    }

    /// Pushes that reach Mimir cost what they hold, whatever else they are. A client may be gone before its push is there.
    #[track_caller]
    fn costs_what_mimir_took(&self, what: &str, send: impl FnOnce()) {
        let ((requests, items), arrived) = (self.left("t"), self.gate.received());
        send();
        until(&format!("{what} cost what Mimir took"), || {
            let taken = i64::try_from(self.gate.received() - arrived).expect("not so many");
            self.left("t") == (requests - taken, items - taken * PUSH as i64)
        });
    }

    /// After a push that does come back, everything before it would have come back too.
    #[track_caller]
    fn nothing_comes_back(&self, what: &str, counted: f64) {
        let (before, errors) = (self.left("t"), self.counted("mimir_error"));
        self.gate.set(Door::Answer(503));
        for another in 1..=2 {
            assert_eq!(self.edge.send(&Self::request()).status, 503);
            let due = errors + f64::from(another) * self.of_a_push();
            until("a push comes back", || self.counted("mimir_error") >= due);
        }
        assert_eq!((self.left("t"), self.all_counted()), (before, counted + 2.0 * self.of_a_push()), "{what}");
    }
}

fn everything_that_mimir_did_not_take_comes_back(failing: &Failing) {
    let full = (10_000, 1_000_000);
    assert_eq!(failing.left("t"), full);
    failing.gate.set(Door::Silence);
    thread::scope(|scope| {
        let silent = scope.spawn(|| failing.edge.send(&Failing::request()).status);
        until("a push waits for an answer", || failing.gate.received() == 1);
        assert_eq!(failing.left("t"), (full.0 - 1, full.1 - PUSH as i64));
        for (door, status, cause) in [
            (Door::Answer(501), 501, "mimir_error"),
            (Door::Answer(503), 503, "mimir_error"),
            (Door::Answer(599), 599, "mimir_error"),
            (Door::Answer(429), 429, "mimir_denied"),
            (Door::Answer(529), 529, "mimir_denied"),
            (Door::HangUp, 503, "no_answer"),
        ] {
            failing.comes_back(door, status, cause);
        }
        what_mimir_answers_otherwise_stays_charged(failing);
        nothing_that_a_client_sends_makes_anything_come_back(failing);
        nothing_that_a_client_of_http2_sends_makes_anything_come_back(failing);
        a_push_of_two_tenants_is_nobodys(failing);
        let ((requests, items), counted) = (failing.left("t"), failing.counted("no_answer"));
        assert_eq!(silent.join().expect("it is answered"), 504);
        failing.gives_back((requests + 1, items + PUSH as i64), "no_answer", counted + failing.of_a_push());
    });
}

fn what_mimir_answers_otherwise_stays_charged(failing: &Failing) {
    for status in [200, 202, 204, 302, 400, 404, 413, 422, 428, 430, 499] {
        failing.gate.set(Door::Answer(status));
        failing.stays_charged(&status.to_string(), |edge| assert_eq!(edge.send(&Failing::request()).status, status));
    }
    failing.gate.set(Door::Silence);
    failing.stays_charged("a client that does not wait", |edge| {
        let (mut connection, arrived) =
            (Connection::open(edge.port()).expect("Envoy takes a connection"), failing.gate.received());
        connection.begin(&Failing::request()).expect("a push can be sent");
        until("the push waits for Mimir", || failing.gate.received() > arrived);
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

fn nothing_that_a_client_sends_makes_anything_come_back(failing: &Failing) {
    let counted = failing.all_counted();
    failing.gate.set(Door::Answer(200));
    failing.costs_what_mimir_took("headers", || {
        for (name, value) in NAMES.iter().flat_map(|name| VALUES.map(|value| (name, value))) {
            // Some are no HTTP: such a request is refused, or its connection ends.
            let request = Failing::request().header(name, value);
            drop(Connection::open(failing.edge.port()).and_then(|mut open| open.send(&request)));
        }
    });
    failing.nothing_comes_back("headers", counted);
}

fn nothing_that_a_client_of_http2_sends_makes_anything_come_back(failing: &Failing) {
    let (counted, body) = (failing.all_counted(), samples(PUSH).bytes);
    let mut answered = 0;
    failing.gate.set(Door::Answer(200));
    failing.costs_what_mimir_took("headers and trailers", || {
        for name in NAMES {
            for value in ["no_answer", "503"] {
                let push = |headers: &[(&str, &str)], trailers: &[(&str, &str)]| {
                    let push =
                        Push::send(failing.edge.port(), headers, &body, trailers).expect("Envoy takes a connection");
                    push.end().expect("it answers")
                };
                let ends = [push(&[(name, value)], &[]), push(&[], &[(name, value)])];
                if name.starts_with(':') {
                    assert_eq!(ends, [End::Refused; 2], "{name}");
                }
                answered += ends.iter().filter(|end| **end == End::Answered).count();
            }
        }
    });
    assert!(answered > NAMES.len(), "{answered} pushes were answered");
    failing.nothing_comes_back("headers and trailers", counted);
    failing.gate.set(Door::Silence);
    failing.stays_charged("a client that takes its push back", |edge| {
        let arrived = failing.gate.received();
        let push = Push::send(edge.port(), &[], &body, &[]).expect("Envoy takes a connection");
        until("the push waits for Mimir", || failing.gate.received() > arrived);
        push.reset().expect("a reset can be sent");
    });
}

/// Two tenants, or one twice: nothing is charged, and nothing comes back to either.
fn a_push_of_two_tenants_is_nobodys(failing: &Failing) {
    let (before, counted) = (failing.left("t"), failing.all_counted());
    failing.gate.set(Door::Answer(503));
    for second in ["t", "u", ""] {
        assert_eq!(failing.edge.send(&Failing::request().header("X-Scope-OrgID", second)).status, 400);
    }
    assert_eq!((failing.left("t"), failing.left("u")), (before, (-1, 10_000)));
    failing.nothing_comes_back("two tenants", counted);
}

#[test]
fn what_mimir_did_not_take_comes_back_where_check_charges() {
    everything_that_mimir_did_not_take_comes_back(&Failing::start(Edge::builder()));
}

#[test]
fn what_mimir_did_not_take_comes_back_where_the_rate_limit_charges() {
    everything_that_mimir_did_not_take_comes_back(&Failing::start(Edge::builder().charge_samples_in_rate_limit()));
}

#[test]
fn what_comes_back_reaches_the_process_that_charged() {
    let tenants: Vec<String> = (0..30).map(|number| format!("tenant-{number}")).chain(["a:k=v".to_owned()]).collect();
    let gate = Gate::start(Door::Answer(503));
    let edge = Edge::builder().replicas(3).upstream(gate.port()).start(LIMITS);
    edge.envoy.wait_for_healthy_rls(3);
    let replicas: Vec<_> = std::iter::once(&edge.rls).chain(&edge.replicas).collect();
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
fn requests_come_back_where_bodies_are_not_sent_and_where_envoy_fails_open() {
    for builder in [Edge::builder().without_bodies(), Edge::builder().failing_open()] {
        let failing = Failing::start(builder);
        failing.comes_back(Door::Answer(503), 503, "mimir_error");
        failing.comes_back(Door::HangUp, 503, "no_answer");
    }
}

#[test]
fn an_edge_that_is_a_mirror_or_only_looks_gives_nothing_back() {
    let failing = Failing::start(Edge::builder().edge_config("{ tenants: { t: { mode: off } } }"));
    failing.gate.set(Door::Answer(503));
    assert_eq!(failing.edge.send(&Failing::request()).status, 503);
    // A copy is answered by Envoy itself, with 200.
    let copy = push_request("u", &samples(PUSH).bytes).header("X-Mimir-Edge-Traffic", "mirror");
    assert_eq!(failing.edge.send(&copy).status, 200);
    assert_eq!(failing.edge.push("u", &samples(PUSH).bytes).status, 503);
    until("a push that was charged comes back", || failing.counted("mimir_error") == 1.0);
    assert_eq!((failing.left("u").1, failing.all_counted()), (10_000 - PUSH as i64, 1.0));
}
