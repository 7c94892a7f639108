//! What Mimir did not take comes back, and nothing that a client sends makes anything come back. Envoy is real, and what stands for Mimir fails
//! as it is told.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::thread;

use e2e::{Connection, Door, Edge, EdgeBuilder, Gate, Request, push_request, samples, until};
use serde_json::Value;

/// A rate of 0.001 gives back 1 token in 1000 s: within a test, only refunds fill a bucket.
const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 0.001, ingestion_burst_size: 1000000, request_rate: 0.001, request_burst_size: 10000 }
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
        ["no_answer", "mimir_error", "mimir_refused", "other_process", "unknown"]
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

    /// After a push that does come back, everything before it would have come back too.
    #[track_caller]
    fn nothing_comes_back(&self, what: &str, counted: f64) {
        let (before, errors) = (self.left("t"), self.counted("mimir_error"));
        self.gate.set(Door::Answer(500));
        for another in 1..=2 {
            assert_eq!(self.edge.send(&Self::request()).status, 500);
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
            (Door::Answer(500), 500, "mimir_error"),
            (Door::Answer(503), 503, "mimir_error"),
            (Door::Answer(599), 599, "mimir_error"),
            (Door::Answer(429), 429, "mimir_refused"),
            (Door::HangUp, 503, "no_answer"),
        ] {
            failing.comes_back(door, status, cause);
        }
        what_mimir_answers_otherwise_stays_charged(failing);
        nothing_that_a_client_sends_makes_anything_come_back(failing);
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
fn nothing_that_a_client_sends_makes_anything_come_back(failing: &Failing) {
    let names = [
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
    let values = ["1", "0", "no_answer", "mimir_error", "503", "0/1/1000/t", "via_upstream", "trailers"];
    let counted = failing.all_counted();
    for name in names {
        failing.gate.set(Door::Answer(200));
        let (requests, items) = failing.left("t");
        let taken = values.iter().filter(|value| {
            // Some are no HTTP: such a request is refused, or its connection ends.
            let request = Failing::request().header(name, value);
            let answer = Connection::open(failing.edge.port()).and_then(|mut open| open.send(&request));
            answer.is_ok_and(|answer| answer.status == 200)
        });
        let taken = taken.count() as i64;
        assert_eq!(failing.left("t"), (requests - taken, items - taken * PUSH as i64), "{name}");
    }
    failing.nothing_comes_back("headers", counted);
}

#[test]
fn what_mimir_did_not_take_comes_back_where_check_charges() {
    everything_that_mimir_did_not_take_comes_back(&Failing::start(Edge::builder()));
}

#[test]
fn what_mimir_did_not_take_comes_back_where_the_rate_limit_charges() {
    everything_that_mimir_did_not_take_comes_back(&Failing::start(Edge::builder().charge_samples_in_rate_limit()));
}
