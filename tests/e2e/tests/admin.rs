//! What an operator can read from a running mimir-rls, and where it logs denials.

use std::borrow::Cow;
use std::fs;

use e2e::{Edge, Request, Response, Signal, push_request, samples, until, until_some};
use serde_json::{Value, json};

const LIMITS: &str = "
overrides:
  a-tenant: { request_rate: 0.001, request_burst_size: 20, ingestion_rate: 0.5, ingestion_burst_size: 100 }
  b-tenant: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
  c-tenant: { ingestion_rate: 1000 }
  c/tenant: { ingestion_rate: 1 }
";
const EDGE_CONFIG: &str = "{ mode: enforce, tenants: { d-tenant: { mode: shadow }, e-tenant: { mode: off } } }";

fn start() -> Edge {
    Edge::builder().edge_config(EDGE_CONFIG).start(LIMITS)
}

#[track_caller]
fn json(edge: &Edge, target: &str) -> Value {
    let answer = edge.rls.get(target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

fn rows(page: &Value, name: &str) -> Vec<Value> {
    page[name].as_array().cloned().unwrap_or_default()
}

#[test]
fn tenants_are_listed_in_pages_and_shown_singly() {
    let edge = start();
    assert_eq!(edge.push("a-tenant", &samples(10).bytes).status, 200);
    let first = json(&edge, "/api/v1/tenants?limit=3");
    let next = first["next"].as_str().expect("there are more tenants").to_owned();
    let second = json(&edge, &format!("/api/v1/tenants?limit=3&after={next}"));
    assert_eq!(second["next"], Value::Null);
    let listed: Vec<(String, String)> = [rows(&first, "tenants"), rows(&second, "tenants")]
        .concat()
        .iter()
        .map(|row| [&row["tenant"], &row["mode"]].map(|text| text.as_str().unwrap_or_default().to_owned()).into())
        .collect();
    let expected = [
        ("a-tenant", "enforce"),
        ("b-tenant", "enforce"),
        ("c-tenant", "enforce"),
        ("d-tenant", "shadow"),
        ("e-tenant", "off"),
    ];
    assert_eq!(listed, expected.map(|(tenant, mode)| (tenant.to_owned(), mode.to_owned())));

    let one = json(&edge, "/api/v1/tenants/a-tenant");
    assert_eq!((&one["tenant"], &one["mode"]), (&json!("a-tenant"), &json!("enforce")));
    assert_eq!(one["limits"]["ingestion_burst_size"], json!(100));
    let tokens = |bucket: &str| one[bucket]["tokens"].as_f64().unwrap_or_default();
    assert_eq!(tokens("request").floor(), 19.0, "{one}");
    // 90 are left, and half a token comes back each second.
    assert!((90.0..100.0).contains(&tokens("ingestion")), "{one}");
    assert!(edge.rls.get("/api/v1/tenants/a%20b").status >= 400);
    assert_eq!(edge.rls.get("/api/v1/tenants?limit=0").status, 400);
    assert_eq!(edge.rls.get("/api/v1/nothing").status, 404);
}

#[test]
fn problems_name_their_line_and_tenant() {
    let edge = start();
    let page = json(&edge, "/api/v1/problems");
    assert_eq!(page["next"], Value::Null);
    let [problem] = rows(&page, "problems").try_into().expect("one problem");
    assert_eq!((&problem["tenant"], &problem["line"]), (&json!("c/tenant"), &json!(6)), "{problem}");
    let message = problem["message"].as_str().unwrap_or_default();
    assert!(message.contains("unsupported character '/'"), "the reason is missing: {problem}");
    assert_eq!((&problem["code"], &problem["kind"]), (&json!("MRC0040"), &json!("unmatched-tenant")), "{problem}");
    assert!(problem["document"].is_string() && problem["severity"].is_string(), "{problem}");

    edge.edge_config.swap("{ mode: enforce, tenants: { f-tenant: { mood: off } } }");
    until("the problem of the edge config is shown", || {
        rows(&json(&edge, "/api/v1/problems"), "problems").iter().any(|problem| problem["tenant"] == "f-tenant")
    });
}

#[test]
fn denials_are_listed_newest_first() {
    let edge = start();
    for (tenant, count) in [("b-tenant", 6), ("d-tenant", 300_000), ("b-tenant", 7), ("a-tenant", 1)] {
        let _ = edge.push(tenant, &samples(count).bytes);
    }
    let first = json(&edge, "/api/v1/denials?limit=2");
    let seen: Vec<_> = rows(&first, "denials").iter().map(|row| row["tenant"].clone()).collect();
    assert_eq!(seen, [json!("b-tenant"), json!("d-tenant")], "{first}");
    let second = json(&edge, &format!("/api/v1/denials?limit=2&after={}", first["next"]));
    assert_eq!((rows(&second, "denials").len(), &second["next"]), (1, &Value::Null), "{second}");

    let of_tenant = json(&edge, "/api/v1/denials?tenant=b-tenant");
    let samples: Vec<_> = rows(&of_tenant, "denials").iter().map(|row| row["samples"].clone()).collect();
    assert_eq!(samples, [json!(7), json!(6)]);
    let shadowed = json(&edge, "/api/v1/denials?tenant=d-tenant");
    let [row] = rows(&shadowed, "denials").try_into().expect("one denial in shadow");
    assert_eq!(
        (&row["decision"], &row["mode"], &row["reason"]),
        (&json!("would_deny"), &json!("shadow"), &json!("ingestion_burst"))
    );
}

fn explain(edge: &Edge, tenant: &str, query: &str, body: &[u8]) -> Value {
    let answer: Response = edge.rls.http(
        &Request::new("POST", &format!("/api/v1/explain{query}"))
            .header("X-Scope-OrgID", tenant)
            .header("Content-Type", "application/x-protobuf")
            .body(body),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn explain_shows_the_decision_and_charges_nothing() {
    let edge = start();
    let body = samples(100);
    for _ in 0..10 {
        let passing = explain(&edge, "a-tenant", "", &body.bytes);
        assert_eq!((&passing["decision"], &passing["status"]), (&json!("allow"), &json!(200)), "{passing}");
        assert_eq!((&passing["tenant"], &passing["mode"]), (&json!("a-tenant"), &json!("enforce")));
        assert_eq!((&passing["request"]["cost"], &passing["ingestion"]["cost"]), (&json!(1), &json!(100)));
    }
    let over = explain(&edge, "a-tenant", "?items=101", b"");
    assert_eq!(
        (&over["decision"], &over["reason"], &over["status"]),
        (&json!("deny"), &json!("ingestion_burst"), &json!(429))
    );
    assert_eq!(edge.push("a-tenant", &body.bytes).status, 200);

    let waiting = explain(&edge, "a-tenant", "?items=50", b"");
    assert_eq!((&waiting["decision"], &waiting["reason"]), (&json!("deny"), &json!("ingestion_rate")));
    // 50 tokens at half a token a second, less the little that came back since the push.
    let seconds = waiting["ingestion"]["passes_in_seconds"].as_f64().unwrap_or_default();
    assert!((70.0..=100.0).contains(&seconds), "{waiting}");
    let answer = edge.push("a-tenant", &samples(50).bytes);
    assert_eq!(answer.text().trim_end(), waiting["message"].as_str().unwrap_or_default());
    assert_eq!(
        edge.rls.metric(r#"rls_decisions_total{decision="deny",mode="enforce",reason="ingestion_rate"}"#),
        Some(1.0)
    );

    let invalid = explain(&edge, "a b", "", &body.bytes);
    assert_eq!((&invalid["reason"], &invalid["status"]), (&json!("tenant_invalid"), &json!(401)));
    assert_eq!(explain(&edge, "d-tenant", "?items=300000", b"")["decision"], json!("would_deny"));
}

#[test]
fn the_log_level_changes_at_run_time() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret-of-the-api\n").expect("the token can be written");
    let flag = format!("--http-token-file={}", token.display());
    let edge = Edge::builder().edge_config(EDGE_CONFIG).rls_arguments(&[&flag]).start(LIMITS);
    let send = |method: &str, level: &str| {
        let request = Request::new(method, "/api/v1/log-level").header("authorization", "Bearer s3cret-of-the-api");
        edge.rls.http(&request.body(level.as_bytes()))
    };
    assert_eq!(edge.rls.get("/api/v1/log-level").status, 401);
    assert_eq!(send("GET", "").text().trim_end(), "info");
    assert_eq!(send("PUT", "debug").status, 200);
    assert_eq!(send("GET", "").text().trim_end(), "debug");
    assert_eq!(send("PUT", "loud and clear").status, 400);
    assert_eq!(send("GET", "").text().trim_end(), "debug");
}

#[test]
fn an_envoy_that_drains_can_be_told_to_serve_again() {
    let edge = start();
    let connection = || {
        let answer = edge.push("a-tenant", &samples(1).bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.headers.get("connection").map(Cow::into_owned)
    };
    assert_eq!((edge.envoy.readiness(), connection()), (Some(200), None));
    edge.envoy.drain();
    assert_eq!((edge.envoy.readiness(), connection()), (Some(503), Some("close".to_owned())));
    edge.envoy.serve_again();
    assert_eq!((edge.envoy.readiness(), connection()), (Some(200), None));
}

#[test]
fn only_the_drain_listener_changes_envoys_health() {
    let edge = start();
    let (push, metrics, drain) = (edge.port(), edge.envoy.metrics_port(), edge.envoy.drain_port());
    let elsewhere =
        ["/healthcheck/fail", "/healthcheck/ok"].map(|path| [(push, "POST", path), (metrics, "POST", path)]);
    let not_by_a_link =
        ["/healthcheck/fail", "/healthcheck/ok"].map(|path| [(drain, "GET", path), (drain, "PUT", path)]);
    let nothing_else = [
        [(drain, "POST", "/quitquitquit"), (drain, "POST", "/drain_listeners")],
        [(drain, "POST", "/runtime_modify"), (drain, "GET", "/config_dump")],
        [(drain, "POST", "/healthcheck/fail/"), (drain, "POST", "/healthcheck/../quitquitquit")],
    ];
    for (port, method, path) in [&elsewhere[..], &not_by_a_link, &nothing_else].concat().concat() {
        assert_eq!(e2e::send(port, &Request::new(method, path)).status, 404, "{port} {method} {path}");
    }
    assert_eq!(edge.envoy.readiness(), Some(200));
    assert_eq!(edge.push("a-tenant", &samples(1).bytes).status, 200);
}

#[test]
fn a_denial_is_written_to_audit_log_and_log() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let audit = folder.path().join("audit.jsonl");
    let argument = format!("--audit-log={}", audit.display());
    let mut edge = Edge::builder().edge_config(EDGE_CONFIG).rls_arguments(&[&argument]).start(LIMITS);
    assert_eq!(edge.push("b-tenant", &samples(6).bytes).status, 429);
    assert_eq!(edge.push("a-tenant", &samples(6).bytes).status, 200);
    assert_eq!(edge.send(&push_request("d-tenant", &samples(300_000).bytes)).status, 200);

    let lines = until_some("both denials are in the audit log", || {
        let text = fs::read_to_string(&audit).unwrap_or_default();
        (text.ends_with('\n') && text.lines().count() >= 2).then_some(text)
    });
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    let audited: Vec<_> =
        lines.iter().map(|line| (&line["tenant"], &line["decision"], &line["reason"], &line["samples"])).collect();
    assert_eq!(
        audited,
        [
            (&json!("b-tenant"), &json!("deny"), &json!("ingestion_burst"), &json!(6)),
            (&json!("d-tenant"), &json!("would_deny"), &json!("ingestion_burst"), &json!(300_000)),
        ]
    );
    assert!(lines.iter().all(|line| line["time"].is_string()), "{lines:?}");
    let log = edge.rls.process.log();
    assert!(log.lines().any(|line| line.contains("denied") && line.contains("b-tenant")), "{log}");

    edge.rls.process.signal(Signal::TERM);
    assert_eq!(edge.rls.process.wait().code(), Some(0));
}
