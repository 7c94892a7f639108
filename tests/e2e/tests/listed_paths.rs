//! The chart value `paths`: the real Envoy refuses, passes or decides requests at each listed path, in every spelling of it.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Edge, Mimir, Request, Response, WatchedFile, push_request, samples, send};
use tempfile::tempdir;

const LIMITS: &str = "
overrides:
  over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
  within: { ingestion_rate: 1000000, ingestion_burst_size: 1000000 }
";
/// What an operator of a Mimir with `-server.path-prefix=/mimir` may want.
const LISTED: [[&str; 3]; 4] = [
    ["/mimir", "prefix", "pass"],
    ["/mimir/api/v1/push", "exact", "decide"],
    ["/mimir/ingester", "prefix", "refuse"],
    ["/mimir/api/v1/v.1", "exact", "pass"],
];

/// An edge whose Envoy has these entries: path, match, action.
fn listing(paths: &[[&str; 3]]) -> e2e::EdgeBuilder {
    paths.iter().enumerate().fold(Edge::builder(), |builder, (number, entry)| {
        ["path", "match", "action"].iter().zip(entry).fold(builder, |builder, (field, value)| {
            builder.envoy_value(format!("paths[{number}].{field}").leak(), (*value).to_owned().leak())
        })
    })
}

fn push_to(path: &str, tenant: &str) -> Request {
    Request::new("POST", path)
        .header("X-Scope-OrgID", tenant)
        .header("Content-Type", "application/x-protobuf")
        .body(&samples(10).bytes)
}

/// What reached the upstream: the targets in their order.
fn targets(edge: &Edge) -> Vec<String> {
    edge.upstream.requests().iter().map(|arrival| arrival.target.clone()).collect()
}

fn passed(edge: &Edge, path: &str) -> f64 {
    let series = format!(r#"envoy_vhost_route_upstream_rq_total{{envoy_virtual_host="edge",envoy_route="{path}"}}"#);
    edge.envoy.metric(&series).unwrap_or_default()
}

#[track_caller]
fn refused(answer: &Response, says: &str) {
    assert_eq!((answer.status, answer.reason().as_deref()), (404, Some("path_refused")), "{}", answer.text());
    assert!(answer.text().contains(says) && answer.text().ends_with("(err-edge-path-refused)\n"), "{}", answer.text());
}

#[test]
fn a_listed_push_path_is_decided_as_the_usual_one() {
    let edge = listing(&LISTED).start(LIMITS);
    let denied = edge.send(&push_to("/mimir/api/v1/push", "over"));
    assert_eq!((denied.status, denied.reason().as_deref()), (429, Some("ingestion_burst")), "{}", denied.text());
    assert_eq!(edge.send(&push_to("/mimir/api/v1/push?x=1%2F2", "within")).status, 200);
    let copy = push_to("/mimir/api/v1/push", "within").header("X-Mimir-Edge-Traffic", "mirror");
    assert_eq!(edge.send(&copy).status, 200);
    let read = edge.send(&Request::new("GET", "/mimir/api/v1/push"));
    assert_eq!((read.status, read.headers.get("allow").as_deref()), (405, Some("POST")));

    assert_eq!(targets(&edge), ["/mimir/api/v1/push?x=1%2F2"]);
    assert_eq!(edge.rls.metric(r#"rls_samples_total{decision="allow"}"#), Some(20.0));
    assert_eq!(edge.push("over", &samples(10).bytes).status, 429);
    assert_eq!(edge.push("within", &samples(10).bytes).status, 200);
}

#[test]
fn a_passed_path_reaches_mimir_unchecked_and_is_counted() {
    let mut edge = listing(&LISTED).start(LIMITS);
    edge.rls.process.kill();
    for (method, target) in
        [("GET", "/mimir/prometheus/api/v1/query?query=up"), ("POST", "/mimir"), ("GET", "/mimir/api/v1/v.1")]
    {
        let request = Request::new(method, target).header("X-Scope-OrgID", "over").header("Cookie", "a=b");
        assert_eq!(edge.send(&request).status, 200, "{method} {target}");
    }
    // A copy, which Mimir receives by another way.
    let copy = Request::new("POST", "/mimir/x").header("X-Mimir-Edge-Traffic", "mirror");
    assert_eq!(edge.send(&copy).status, 200);
    assert_eq!(targets(&edge), ["/mimir/prometheus/api/v1/query?query=up", "/mimir", "/mimir/api/v1/v.1"]);
    assert_eq!((passed(&edge, "/mimir"), passed(&edge, "/mimir/api/v1/v_1")), (2.0, 1.0));
    assert_eq!(edge.send(&push_to("/mimir/api/v1/push", "within")).status, 503);
}

#[test]
fn a_refused_path_answers_why() {
    let edge = listing(&LISTED).start(LIMITS);
    for target in ["/mimir/ingester", "/mimir/ingester/flush", "//mimir/x/../ingester/shutdown", "/mimir/%69ngester"] {
        for method in ["GET", "POST"] {
            let request = Request::new(method, target).header("X-Scope-OrgID", "within");
            refused(&edge.send(&request), "its operator refuses them");
        }
    }
    // Not listed, and not below a listed path.
    for target in ["/ingester/flush", "/mimirs", "/prometheus/mimir"] {
        let answer = edge.send(&Request::new("GET", target));
        assert_eq!((answer.status, answer.reason().as_deref()), (404, Some("path_not_served")), "{target}");
    }
    assert_eq!(edge.send(&Request::new("GET", "/mimir/ingesters")).status, 200);
    assert_eq!(targets(&edge), ["/mimir/ingesters"]);
}

#[test]
fn no_spelling_of_a_decided_path_passes_below_a_prefix() {
    let edge = listing(&LISTED).start(LIMITS);
    for target in [
        "//mimir/api/v1/push",
        "/mimir//api/v1/push",
        "/mimir/./api/v1/push",
        "/x/../mimir/api/v1/push",
        "/mimir/x/%2e%2e/api/v1/push",
        "/mimir/api/v1/pus%68",
        "/%6dimir/api/v1/push",
        "http://edge/mimir/api/v1/push",
        "/mimir/api/v1/push?",
        "/mimir/api%2fv1/push",
        "/mimir\\api\\v1\\push",
        "/mimir/api/v1/push/",
        "/mimir/api/v1/push//",
        "/mimir/api/v1/push/x",
        "/mimir/api/v1/push/influx/write",
        "/mimir/otlp/v1/metrics",
        "/mimir/otlp/v1/metrics/",
        "/mimir/mimir/api/v1/push",
        "/mimir/mimir/otlp/v1/metrics",
        "/mimir/api/v1/upload/block",
        "/mimir/api/v1/upload/block/01JAB/start",
        "/mimir//api/v1/upload/./block/01JAB/files?path=index",
        "/mimir/mimir/api/v1/uploa%64/block/01JAB/finish",
    ] {
        let answer = edge.send(&push_to(target, "over"));
        assert!(matches!(answer.status, 400 | 404 | 429), "{target}: {} {}", answer.status, answer.text());
    }
    assert_eq!(targets(&edge), [""; 0]);
    refused(&edge.send(&push_to("/mimir/otlp/v1/metrics", "within")), "add an entry for this path");
}

#[test]
fn an_envoy_that_only_mirrors_passes_nothing() {
    let edge = listing(&LISTED).envoy_value("mode", "mirror").start(LIMITS);
    for request in [
        Request::new("GET", "/mimir/prometheus/api/v1/query"),
        push_to("/mimir/api/v1/push", "within").header("X-Mimir-Edge-Traffic", "live"),
    ] {
        let answer = edge.send(&request);
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("this Envoy only mirrors"), "{}", answer.text());
    }
    assert_eq!(edge.send(&push_to("/mimir/api/v1/push", "within")).status, 200);
    assert_eq!(edge.send(&push_to("/mimir/api/v1/push", "over")).status, 429);
    refused(&edge.send(&Request::new("GET", "/mimir/ingester/flush")), "its operator refuses them");
    assert_eq!(targets(&edge), [""; 0]);
}

/// A gauge in OTLP's JSON.
fn otlp(path: &str, tenant: &str) -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    let point = format!(r#"{{ "asDouble": 1, "timeUnixNano": "{now}" }}"#);
    let metric = format!(r#"{{ "name": "m", "gauge": {{ "dataPoints": [{point}] }} }}"#);
    let body = format!(r#"{{ "resourceMetrics": [{{ "scopeMetrics": [{{ "metrics": [{metric}] }}] }}] }}"#);
    let request = Request::new("POST", path).header("X-Scope-OrgID", tenant);
    request.header("Content-Type", "application/json").body(body.as_bytes())
}

/// A line of Influx.
fn influx(path: &str, tenant: &str) -> Request {
    Request::new("POST", path).header("X-Scope-OrgID", tenant).header("Content-Type", "text/plain").body(b"m v=1")
}

/// A Mimir that takes OTLP, Influx and remote write.
struct Ingesting(Mimir);

impl Ingesting {
    fn start(folder: &std::path::Path, limits: &WatchedFile) -> Self {
        let flags = ["-distributor.influx-endpoint-enabled=true"];
        Self(Mimir::start_with(&folder.join("mimir"), &limits.path(), &flags))
    }

    fn samples_of(&self, tenant: &str) -> f64 {
        let series = format!(r#"cortex_distributor_received_samples_total{{user="{tenant}"}}"#);
        self.0.metric(&series).unwrap_or_default()
    }
}

#[test]
fn a_passed_prefix_does_not_include_paths_that_take_samples() {
    let (folder, limits) = (tempdir().expect("a folder can be made"), WatchedFile::of("overrides: {}"));
    let mimir = Ingesting::start(folder.path(), &limits);
    let edge = listing(&[["/", "prefix", "pass"]]).upstream(mimir.0.port()).start(LIMITS);
    for (path, request) in [
        // First: a Mimir with newer samples denies these old ones.
        ("/api/v1/push", push_to as fn(&str, &str) -> Request),
        ("/otlp/v1/metrics", otlp),
        ("/api/v1/push/influx/write", influx),
    ] {
        let direct = send(mimir.0.port(), &request(path, "direct"));
        assert!((200..300).contains(&direct.status), "{path}: {} {}", direct.status, direct.text());
        for spelling in
            [path.to_owned(), format!("{path}/"), format!("/{path}"), format!("/x/..{path}"), format!("/x{path}")]
        {
            let answer = edge.send(&request(&spelling, "over"));
            assert!(matches!(answer.status, 400 | 404 | 429), "{spelling}: {} {}", answer.status, answer.text());
        }
    }
    assert_eq!((mimir.samples_of("over"), mimir.samples_of("direct")), (0.0, 12.0));
    // The prefix itself works, to Mimir's other endpoints.
    assert_eq!(edge.send(&Request::new("GET", "/ready")).status, 200);
    assert_eq!(passed(&edge, "/"), 1.0);
}

#[test]
fn otlp_is_ingested_only_where_its_path_is_named() {
    let (folder, limits) = (tempdir().expect("a folder can be made"), WatchedFile::of("overrides: {}"));
    let mimir = Ingesting::start(folder.path(), &limits);
    let start = |paths: &[[&str; 3]]| listing(paths).upstream(mimir.0.port()).start(LIMITS);
    let refuses = start(&[["/otlp/v1/metrics", "exact", "refuse"], ["/otlp", "prefix", "pass"]]);
    for spelling in
        ["/otlp/v1/metrics", "/otlp//v1/metrics", "/otlp/v1/metrics/", "/otlp/v1/x/../metrics", "/otlp/v1/metric%73"]
    {
        let status = refuses.send(&otlp(spelling, "refused")).status;
        assert!(matches!(status, 400 | 404), "{spelling}: {status}");
    }
    // The prefix names OTLP, and no remote write.
    assert_eq!(refuses.send(&push_to("/otlp/api/v1/push", "refused")).status, 404);
    assert_eq!(mimir.samples_of("refused"), 0.0);

    for (paths, tenant) in
        [([["/otlp", "prefix", "pass"]], "prefix"), ([["/otlp/v1/metrics", "exact", "pass"]], "exact")]
    {
        let passes = start(&paths);
        assert_eq!(passes.send(&otlp("/otlp/v1/metrics", tenant)).status, 200);
        assert_eq!(mimir.samples_of(tenant), 1.0);
        assert_eq!(passed(&passes, paths[0][0]), 1.0);
    }
}

#[test]
fn blocks_are_uploaded_only_where_their_path_is_named() {
    let (folder, limits) = (tempdir().expect("a folder can be made"), WatchedFile::of("overrides: {}"));
    let mimir = Ingesting::start(folder.path(), &limits);
    let start = |paths: &[[&str; 3]]| listing(paths).upstream(mimir.0.port()).start(LIMITS);
    let upload = push_to("/api/v1/upload/block/01JABCDEFGHJKMNPQRSTVWXYZ0/start", "team");
    // This Mimir runs no compactor: its own 404 shows that a request has passed.
    let direct = send(mimir.0.port(), &upload);
    assert_eq!((direct.status, direct.text().as_ref(), direct.reason()), (404, "404 page not found\n", None));

    for paths in [[["/", "prefix", "pass"]], [["/api/v1", "prefix", "pass"]], [["/api", "prefix", "pass"]]] {
        refused(&start(&paths).send(&upload), "add an entry for this path");
    }
    let answer = start(&[["/", "prefix", "pass"], ["/api/v1/upload", "prefix", "pass"]]).send(&upload);
    assert_eq!((answer.status, answer.text()), (direct.status, direct.text()));
}

#[test]
fn mimir_rls_takes_no_otlp_for_remote_write() {
    for arguments in [&[][..], &["--unreadable-body=forward"]] {
        let (folder, limits) = (tempdir().expect("a folder can be made"), WatchedFile::of("overrides: {}"));
        let mimir = Ingesting::start(folder.path(), &limits);
        let edge = Edge::builder().rls_arguments(arguments).upstream(mimir.0.port()).start(LIMITS);
        for request in [otlp("/api/v1/push", "team"), influx("/api/v1/push", "team")] {
            let answer = edge.send(&request);
            assert!((400..500).contains(&answer.status), "{arguments:?}: {} {}", answer.status, answer.text());
        }
        assert_eq!(mimir.samples_of("team"), 0.0, "{arguments:?}");
        assert_eq!(edge.send(&push_request("team", &samples(10).bytes)).status, 200);
        assert_eq!(mimir.samples_of("team"), 10.0);
    }
}
