//! `edgectl check --against` and `--default-limits-url`, with a server in this process in Mimir's place. `tests/e2e` asks the real one.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{Finished, docs, edgectl};

const CONFIG: &str = "target: all\nlimits:\n    ingestion_rate: 50\n    ingestion_burst_size: 60\n";
/// As Mimir writes it with `?mode=diff`.
const OVERRIDES: &str = "\
overrides:
    team-a:
        ingestion_rate: 5
        name_validation_scheme: \"\"
        otel_metric_suffixes_enabled: null
    team-n: null
";

/// Mimir's pages below a prefix.
struct Mimir {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Mimir {
    fn start(overrides: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move |request: Request| async move { page(&request, overrides) };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { address, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}/mimir", self.address)
    }
}

fn page(request: &Request, overrides: &'static str) -> Response {
    match request.uri().to_string().as_str() {
        "/mimir/config" => CONFIG.into_response(),
        "/mimir/runtime_config?mode=diff" => overrides.into_response(),
        "/mimir/api/v1/status/buildinfo" => r#"{"status":"success","data":{"version":"3.0.1"}}"#.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn check(file: &str, arguments: &[&str]) -> Finished {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.yaml"), file).unwrap();
    let mut command = edgectl(&[&["check"], arguments, &["a.yaml"]].concat());
    Finished::of(command.current_dir(&folder).output().unwrap())
}

#[test]
fn the_same_limits_are_no_difference() {
    let mimir = Mimir::start(OVERRIDES);
    let url = mimir.url();
    let finished = check("overrides: {team-a: {ingestion_rate: 5}}", &["--against", &url]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.starts_with("a.yaml: 1 tenant, 0 problems\n"), "{finished:?}");
    assert!(finished.out.contains(&format!("{url}: ")) && finished.out.ends_with(", 0 differences\n"), "{finished:?}");
}

#[test]
fn each_difference_names_tenant_field_and_both_values() {
    let mimir = Mimir::start(OVERRIDES);
    let url = mimir.url();
    let finished = check("overrides: {team-a: {ingestion_rate: 6}, team-b: {request_rate: 7}}", &["--against", &url]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let lines: Vec<_> = finished.out.lines().collect();
    assert_eq!(
        lines[1..3],
        [
            "a.yaml: MRC0050 differs-from-mimir: tenant team-a: field ingestion_rate is 6 here and 5 in Mimir",
            "a.yaml: MRC0050 differs-from-mimir: tenant team-b: field request_rate is 7 here and 0 in Mimir, which has no override of it",
        ]
    );
    assert!(lines[3].ends_with(", 2 differences"), "{finished:?}");
}

#[test]
fn the_docs_example_of_a_difference_is_what_is_printed() {
    let (file, printed) = docs::against();
    let mimir = Mimir::start(
        "overrides: {team-a: {ingestion_rate: 40000, ingestion_burst_size: 500000}, team-b: {ingestion_rate: 50}}",
    );
    let url = mimir.url();
    let finished = check(file, &["--against", &url]);
    let expected = printed.replace("runtime.yaml", "a.yaml").replace("http://127.0.0.1:8080", &url);
    assert_eq!((finished.code, finished.out), (Some(1), expected));
}

#[test]
fn defaults_that_flags_say_are_compared_too() {
    let mimir = Mimir::start(OVERRIDES);
    let flags = "--default-limits-flags=-distributor.ingestion-rate-limit=50";
    let finished =
        check("overrides: {team-a: {ingestion_rate: 5}}", &["--format=json", flags, "--against", &mimir.url()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let compared = &finished.json()["files"][1];
    assert_eq!((&compared["outcome"], compared["problems"].as_array().unwrap().len()), (&json!("compared"), 1));
    let problem = &compared["problems"][0];
    assert_eq!((&problem["code"], &problem["field"]), (&json!("MRC0050"), &json!("ingestion_burst_size")));
    assert_eq!(problem["tenant"], json!(null));
}

#[test]
fn a_mimir_without_overrides_has_none() {
    let mimir = Mimir::start("runtime config file doesn't exist");
    let finished = check("overrides: {team-a: {ingestion_rate: 6}}", &["--against", &mimir.url()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.contains("is 6 here and 50 in Mimir, which has no override of it"), "{finished:?}");
}

#[test]
fn a_mimir_that_cannot_be_asked_ends_with_66() {
    let mimir = Mimir::start(OVERRIDES);
    let wrong = format!("http://{}", mimir.address);
    let finished = check("overrides: {}", &["--against", &wrong]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    assert!(finished.out.contains("404") && finished.out.contains("-server.path-prefix"), "{finished:?}");
    let garbled = Mimir::start("overrides: [");
    let finished = check("overrides: {}", &["--against", &garbled.url()]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    assert!(finished.out.contains("its /runtime_config"), "{finished:?}");
}

#[test]
fn default_limits_come_from_a_running_mimir() {
    let mimir = Mimir::start(OVERRIDES);
    let url = format!("{}/config", mimir.url());
    let finished = check("overrides: {team-b: {}}", &["--show", "--format=json", "--default-limits-url", &url]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.json()["files"][0]["limits"]["team-b"]["ingestion_rate"], json!(50));
    let nowhere = check("overrides: {}", &["--default-limits-url", "http://127.0.0.1:1"]);
    assert_eq!(nowhere.code, Some(66), "{nowhere:?}");
}
