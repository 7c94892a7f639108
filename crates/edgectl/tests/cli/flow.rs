//! `edgectl flow-test` against a server that is front door, Mimir and edge in one. `tests/e2e` has the real ones.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::docs::{blocks, section};
use crate::replica::{Asked, Replica, bucket, details, fault, nowhere, unlimited};
use crate::{Finished, edgectl};

/// What the server answers to a push over the limit.
const WORDS: &str = "the request has been rejected (err-mimir-tenant-max-ingestion-rate)";

/// Counts pushes as mimir-rls does.
#[derive(Default)]
struct World {
    pushes: AtomicU64,
}

impl World {
    /// Everything is well, but for the push over the limit.
    fn answer(&self, asked: &Asked, over_limit: impl Fn() -> Response) -> Response {
        let (path, _) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let json = |value: Value| value.to_string().into_response();
        match path {
            // One sample is less than a hundred bytes, a thousand are more.
            "/api/v1/push" if asked.body.len() > 200 => over_limit(),
            "/api/v1/push" => {
                self.pushes.fetch_add(1, Ordering::Relaxed);
                StatusCode::OK.into_response()
            }
            "/prometheus/api/v1/query" => json(json!({ "status": "success", "data": { "result": [{}] } })),
            "/api/v1/usage/edgectl-flow-test" => {
                json(json!({ "quarter_hour": { "requests": self.pushes.load(Ordering::Relaxed) } }))
            }
            "/api/v1/tenants/edgectl-flow-test" => {
                let mut tenant = details(true, 1000.0);
                let limit = tenant.pointer_mut("/ingestion/limit").expect("a bucket has a limit");
                *limit = json!({ "rate": 1000.0, "burst": 1000 });
                json(tenant)
            }
            "/api/v1/denials" => json(json!({ "denials": [], "next": null })),
            _ => fault(404, &asked.target),
        }
    }
}

fn denied(by_edge: bool) -> Response {
    let reason = by_edge.then_some(("x-mimir-edge-reason", "ingestion_burst"));
    match reason {
        Some(header) => (StatusCode::TOO_MANY_REQUESTS, [header], WORDS).into_response(),
        None => (StatusCode::TOO_MANY_REQUESTS, WORDS).into_response(),
    }
}

fn world(over_limit: impl Fn() -> Response + Send + Sync + 'static) -> Replica {
    let world = World::default();
    Replica::start(move |asked| world.answer(asked, &over_limit))
}

fn flow_test(replica: &Replica, flags: &[&str]) -> Finished {
    let url = format!("{}/api/v1/push", replica.url);
    let arguments = [&["flow-test", "--url", &url, "--mimir", &replica.url, "--address", &replica.url], flags].concat();
    Finished::of(edgectl(&arguments).output().expect("edgectl runs"))
}

#[test]
fn a_flow_test_prints_what_the_docs_say() {
    let replica = world(|| denied(false));
    let section = section("## edgectl flow-test");
    assert_eq!(blocks(section, "sh"), ["edgectl flow-test --mimir http://127.0.0.1:8081\n"]);
    let finished = flow_test(&replica, &[]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(1), ""), "{finished:?}");
    let shown = finished.out.replace(&replica.url, "http://127.0.0.1:8080");
    let (before, rest) = shown.split_once("run=\"").expect("the name of the run");
    let (_, rest) = rest.split_once('"').expect("its end");
    let (rest, seconds) = rest.split_once("after ").expect("how long it took");
    let (_, last) = seconds.split_once(" s\n").expect("seconds");
    assert_eq!(format!("{before}run=\"…\"{rest}after 0.1 s\n{last}"), blocks(section, "text")[0]);
}

#[test]
fn all_is_well_where_the_edge_refuses() {
    let replica = world(|| denied(true));
    let finished = flow_test(&replica, &["--phase", "full", "-o", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let report = finished.json();
    assert_eq!((&report["passed"], report["steps"].as_array().map(Vec::len)), (&json!(true), Some(4)), "{report}");
    let pushes = replica.asked().into_iter().filter(|asked| asked.target == "/api/v1/push");
    let tenants: Vec<_> = pushes.map(|push| push.headers["x-scope-orgid"].clone()).collect();
    assert_eq!(tenants, ["edgectl-flow-test"; 2], "only its own tenant");
}

#[test]
fn who_should_not_have_refused_is_named() {
    let replica = world(|| denied(true));
    let finished = flow_test(&replica, &["--phase", "mirror", "--wait", "300ms"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.contains("the edge answers clients already"), "{finished:?}");
    assert!(finished.out.contains("× the edge would have refused it: no denial within 300ms"), "{finished:?}");
    let open = world(|| StatusCode::OK.into_response());
    let finished = flow_test(&open, &[]);
    assert!(finished.out.contains("edgectl check --against"), "{finished:?}");
}

#[test]
fn a_tenant_without_a_small_limit_gets_no_push() {
    let limited = |ingestion: Value, mode: &'static str| {
        let world = World::default();
        Replica::start(move |asked| match asked.target.as_str() {
            "/api/v1/tenants/edgectl-flow-test" => {
                let mut tenant = details(true, 1.0);
                tenant["ingestion"] = ingestion.clone();
                tenant["mode"] = json!(mode);
                tenant.to_string().into_response()
            }
            _ => world.answer(asked, || denied(true)),
        })
    };
    let mut large = bucket(1.0, 1);
    large["limit"]["burst"] = json!(600_000);
    for (replica, code, part) in [
        (limited(unlimited(), "enforce"), 1, "× a push over the limit is refused: the tenant has no limit"),
        (limited(bucket(1.0, 1), "shadow"), 0, "‼ a push over the limit is refused: the tenant is in mode shadow"),
        (limited(bucket(1.0, 1), "bypass"), 1, "× a push over the limit is refused: the tenant is in mode bypass"),
        (limited(large, "enforce"), 0, "‼ a push over the limit is refused: 600001 samples would be needed"),
    ] {
        let finished = flow_test(&replica, &[]);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.out.contains(part), "{part}: {finished:?}");
        let pushes = replica.asked().iter().filter(|asked| asked.target == "/api/v1/push").count();
        assert_eq!(pushes, 1, "{finished:?}");
    }
}

#[test]
fn credentials_reach_the_front_door_and_mimir() {
    let replica = world(|| denied(true));
    let url = format!("{}/api/v1/push", replica.url);
    let mut command = edgectl(&["flow-test", "--url", &url, "--address", &replica.url]);
    command.env("MIMIR_ADDRESS", &replica.url).env("MIMIR_TENANT_ID", "user").env("MIMIR_API_KEY", "key");
    let finished = Finished::of(command.output().expect("edgectl runs"));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for asked in replica.asked() {
        let is_of_edge = asked.target.starts_with("/api/v1/") && asked.target != "/api/v1/push";
        let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        let expected = (!is_of_edge).then_some(("Basic dXNlcjprZXk=".to_owned(), "edgectl-flow-test".to_owned()));
        assert_eq!(header("authorization").zip(header("x-scope-orgid")), expected, "{}", asked.target);
    }
}

#[test]
fn what_does_not_answer_is_named() {
    let replica = world(|| denied(true));
    let silent = nowhere();
    let url = format!("{silent}/api/v1/push");
    let arguments = ["flow-test", "--url", &url, "--mimir", &replica.url, "--address", &replica.url];
    let finished = Finished::of(edgectl(&arguments).output().expect("edgectl runs"));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.contains(&format!("× a push is accepted: {url}: it cannot be reached")), "{finished:?}");
}
