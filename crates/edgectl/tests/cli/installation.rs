//! `edgectl check` without a file and `edgectl diagnose`, against programs in this process. `tests/e2e` has the real ones, each of them broken once.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rcgen::{CertificateParams, date_time_ymd};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::replica::{Asked, Replica, fault, nowhere, runtime};
use crate::tap::denial;
use crate::tls::tls_listener_of;
use crate::{Finished, edgectl, run};

/// The addresses of the docs.
const PLACES: [&str; 5] = [
    "http://127.0.0.1:9090",
    "http://127.0.0.1:8080",
    "http://127.0.0.1:9901",
    "http://127.0.0.1:9091",
    "http://127.0.0.1:9009",
];

/// What differs from an installation that is well.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A limit of Mimir that mimir-rls does not have.
    pub(crate) other_limit: bool,
    pub(crate) mimir_version: Option<&'static str>,
    pub(crate) mimir_application: Option<&'static str>,
    /// The mode that Envoy says.
    pub(crate) envoy_mode: Option<&'static str>,
    /// mimir-rls reads a file, the last time so many seconds ago.
    pub(crate) of_file: Option<f64>,
    pub(crate) no_distributors: bool,
    /// The tenant as which pushes arrive.
    pub(crate) arrives_as: Option<&'static str>,
    pub(crate) mode_off: bool,
    pub(crate) expires_in: Option<f64>,
    pub(crate) unready_requests: usize,
}

/// mimir-rls, both ports of Envoy, overrides-sync and Mimir, in the order of [`PLACES`].
pub(crate) struct Stubs([Replica; 5]);

impl Stubs {
    pub(crate) fn start(faults: Faults) -> Self {
        // The size of the marked push, as Envoy saw it last.
        let pushed: Arc<AtomicUsize> = Arc::default();
        let seen = Arc::clone(&pushed);
        let unready = AtomicUsize::new(faults.unready_requests);
        Self([
            Replica::start(move |asked| rls(faults, asked, seen.load(Ordering::SeqCst), &unready)),
            Replica::start(move |asked| envoy(asked, &pushed)),
            Replica::start(move |asked| envoy_admin(faults, asked)),
            Replica::start(overrides_sync),
            Replica::start(move |asked| mimir(faults, asked)),
        ])
    }

    pub(crate) fn urls(&self) -> [&str; 5] {
        self.0.each_ref().map(|stub| stub.url.as_str())
    }

    /// Runs a command of the docs with these programs at its addresses.
    pub(crate) fn run(&self, line: &str) -> Finished {
        let urls = || PLACES.iter().zip(&self.0).map(|(place, stub)| (*place, stub.url.as_str()));
        let line = urls().fold(line.trim().to_owned(), |line, (place, url)| line.replace(place, url));
        let arguments: Vec<_> = line.split_whitespace().skip(1).collect();
        let mut command = edgectl(&arguments);
        command.env("LC_ALL", "C.UTF-8").env("MIMIR_EDGE_ADDRESS", &self.0[0].url);
        let Finished { code, out, err } = Finished::of(command.output().unwrap());
        let back = |text: String| urls().fold(text, |text, (place, url)| text.replace(url, place));
        Finished { code, out: back(out), err: back(err) }
    }
}

fn text(text: impl Into<String>) -> Response {
    text.into().into_response()
}

fn set(object: &mut Value, name: &str, value: Value) {
    object.as_object_mut().expect("an object").insert(name.to_owned(), value);
}

fn rls(faults: Faults, asked: &Asked, pushed: usize, unready: &AtomicUsize) -> Response {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let not_after = faults.expires_in.map_or(0.0, |seconds| now + seconds);
    let (age, feed) = faults.of_file.map_or((3.5, "rls_limits_feed_connected 1\n"), |age| (age, ""));
    let limits = json!({ "ingestion_rate": 1000, "ingestion_burst_size": 2000 });
    let row =
        json!({ "tenant": "team-a", "mode": "enforce", "overridden": true, "has_buckets": true, "limits": limits });
    let mut denied = denial(1, faults.arrives_as.unwrap_or("team-a"), "enforce", "unreadable_body", 400);
    set(&mut denied, "body_bytes", json!(pushed));
    match asked.target.as_str() {
        "/ready" if unready.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() => {
            fault(503, "no limits yet")
        }
        "/ready" => text("ready\n"),
        "/metrics" => text(format!(
            "rls_certificate_not_after_timestamp_seconds{{of=\"grpc\"}} {not_after}\nrls_certificate_not_after_timestamp_seconds{{of=\"http\"}} 0\n\
             rls_default_limits_given 1\nrls_max_request_bytes 16777216\nrls_limits_stale_seconds {age}\n{feed}\
             rls_distributors 1\nrls_ha_tracker_stale_seconds 2\n"
        )),
        "/api/v1/problems?limit=1000" => text(json!({ "problems": [], "next": null }).to_string()),
        "/api/v1/tenants?limit=1000" => {
            let defaults = json!({ "ingestion_rate": 10_000, "ingestion_burst_size": 200_000, "name_validation_scheme": "legacy" });
            text(json!({ "tenants": [row], "default_limits": defaults, "next": null }).to_string())
        }
        "/api/v1/tenants/team-a" => {
            let mut details = crate::replica::details(true, 5.0);
            set(&mut details, "mode", json!(if faults.mode_off { "off" } else { "enforce" }));
            text(details.to_string())
        }
        "/api/v1/denials?limit=1000" if faults.mode_off => text(json!({ "denials": [], "next": null }).to_string()),
        "/api/v1/denials?limit=1000" => text(json!({ "denials": [denied], "next": null }).to_string()),
        other => fault(404, other),
    }
}

fn envoy(asked: &Asked, pushed: &AtomicUsize) -> Response {
    match asked.target.as_str() {
        "/healthz" => text("ok\n"),
        // The empty push.
        "/api/v1/push" if asked.body.len() == 1 => text(""),
        "/api/v1/push" => {
            pushed.store(asked.body.len(), Ordering::SeqCst);
            (StatusCode::BAD_REQUEST, [("x-mimir-edge-reason", "unreadable_body")], "").into_response()
        }
        other => fault(404, other),
    }
}

fn envoy_admin(faults: Faults, asked: &Asked) -> Response {
    let members = |cluster: &str| {
        let series = |what: &str, count: u8| {
            format!("envoy_cluster_membership_{what}{{envoy_cluster_name=\"{cluster}\"}} {count}\n")
        };
        series("healthy", 2) + &series("total", 2)
    };
    match asked.target.as_str() {
        "/stats/prometheus" => text(
            members("mimir_rls") + &members("mimir") + "envoy_server_days_until_first_cert_expiring{} 4294967295\n",
        ),
        "/settings" => {
            let mode = faults.envoy_mode.unwrap_or("enforce");
            text(format!("mode: {mode}\nmax_request_bytes: 16777216\nfailure_mode_allow: false\n"))
        }
        other => fault(404, other),
    }
}

fn overrides_sync(asked: &Asked) -> Response {
    match asked.target.as_str() {
        "/ready" => text("ready\n"),
        "/metrics" => text(
            "overrides_sync_limits_stale_seconds 2.5\noverrides_sync_certificate_not_after_timestamp_seconds{of=\"grpc\"} 0\n",
        ),
        "/api/v1/problems?limit=1000" => text(json!({ "problems": [], "next": null }).to_string()),
        other => fault(404, other),
    }
}

fn mimir(faults: Faults, asked: &Asked) -> Response {
    let build = json!({ "status": "success", "data": { "application": faults.mimir_application.unwrap_or("Grafana Mimir"), "version": faults.mimir_version.unwrap_or("3.1.0") } });
    let rate = if faults.other_limit { 1500 } else { 1000 };
    match asked.target.as_str() {
        "/api/v1/status/buildinfo" => text(build.to_string()),
        "/config" => text("limits:\n  ingestion_rate: 10000\n"),
        "/runtime_config?mode=diff" => {
            text(format!("overrides:\n  team-a:\n    ingestion_rate: {rate}\n    ingestion_burst_size: 2000\n"))
        }
        "/distributor/ring" => text(json!({ "shards": [{ "id": "mimir-1", "state": if faults.no_distributors { "LEAVING" } else { "ACTIVE" } }] }).to_string()),
        "/distributor/ha_tracker" => text(json!({ "elected": null }).to_string()),
        other => fault(404, other),
    }
}

const EVERYTHING: &str = "--envoy http://127.0.0.1:8080 --envoy-admin http://127.0.0.1:9901 --overrides-sync http://127.0.0.1:9091 \
                          --mimir http://127.0.0.1:9009 --front http://127.0.0.1:8080/api/v1/push --tenant team-a";

#[track_caller]
fn diagnosed(faults: Faults, broken: Value, cause: &str) {
    let finished = Stubs::start(faults).run(&format!("edgectl diagnose -o json {EVERYTHING}"));
    let diagnosis = finished.json();
    assert_eq!(diagnosis.get("broken"), Some(&broken), "{diagnosis:#}");
    assert_eq!(finished.code, Some(if broken.is_null() { 0 } else { 1 }));
    let detail = diagnosis.pointer("/cause/detail").and_then(Value::as_str).unwrap_or_default();
    assert!(detail.contains(cause), "{diagnosis:#}");
}

#[test]
fn the_broken_hop_is_named() {
    diagnosed(Faults::default(), Value::Null, "");
    diagnosed(
        Faults { arrives_as: Some("other"), ..Faults::default() },
        json!("front door"),
        "arrives as one of other",
    );
    diagnosed(Faults { expires_in: Some(-90.0), ..Faults::default() }, json!("mimir-rls"), "expired 90 s ago");
    diagnosed(Faults { unready_requests: 1, ..Faults::default() }, json!("mimir-rls"), "no limits yet");
    let differs = "tenant team-a: field ingestion_rate is 1000 in the edge and 1500 in Mimir";
    diagnosed(Faults { other_limit: true, ..Faults::default() }, json!("overrides document"), differs);
}

#[test]
fn other_programs_and_empty_rings_are_no_mimir() {
    let loki = "/api/v1/status/buildinfo is that of Loki, and not of Mimir";
    diagnosed(Faults { mimir_application: Some("Loki"), ..Faults::default() }, json!("Mimir"), loki);
    let none = "no distributor in Mimir's ring is active";
    diagnosed(Faults { no_distributors: true, ..Faults::default() }, json!("Mimir"), none);
}

#[test]
fn a_mirror_does_not_show_that_pushes_reach_mimir() {
    let stubs = Stubs::start(Faults { envoy_mode: Some("mirror"), ..Faults::default() });
    let health = stubs.run(&format!("edgectl check -o json {EVERYTHING}")).json();
    let push = health["checks"].as_array().unwrap().iter().find(|check| check["check"] == "a push reaches it").unwrap();
    assert_eq!(push["status"], "skipped", "{push}");
    assert!(push["detail"].as_str().unwrap().contains("mode mirror"), "{push}");
}

#[test]
fn limits_of_a_file_concern_mimir_rls_alone() {
    let stale = Stubs::start(Faults { of_file: Some(90.0), ..Faults::default() });
    let diagnosis = stale.run("edgectl diagnose -o json").json();
    assert_eq!(diagnosis["broken"], "mimir-rls", "{diagnosis}");
    assert_eq!(diagnosis["cause"]["check"], "the limits are fresh", "{diagnosis}");
    let sync = diagnosis["hops"].as_array().unwrap().iter().find(|hop| hop["hop"] == "overrides-sync").unwrap();
    assert_eq!(sync["status"], "skipped", "{sync}");
}

#[test]
fn one_host_gets_no_commands_for_a_cluster() {
    let unready = || Stubs::start(Faults { unready_requests: usize::MAX, ..Faults::default() });
    let diagnosis = unready().run(&format!("edgectl diagnose -o json {EVERYTHING}")).json();
    assert_eq!((&diagnosis["broken"], &diagnosis["cause"]["command"]), (&json!("mimir-rls"), &Value::Null));
}

#[test]
fn warnings_break_no_hop() {
    diagnosed(
        Faults { mimir_version: Some("2.17.0"), ..Faults::default() },
        Value::Null,
        "2.17.0: the edge is made for",
    );
    diagnosed(Faults { mimir_version: Some("aced80d"), ..Faults::default() }, Value::Null, "");
    diagnosed(Faults { expires_in: Some(90_000.0), ..Faults::default() }, Value::Null, "expires in");
    diagnosed(Faults { mode_off: true, ..Faults::default() }, Value::Null, "");
}

#[test]
fn what_no_flag_names_is_skipped() {
    let stubs = Stubs::start(Faults::default());
    let health = stubs.run("edgectl check -o json").json();
    let checks = health["checks"].as_array().unwrap();
    assert_eq!(health["status"], "ok", "{health:#}");
    for (group, flag) in [
        ("front door", "give --front URL and --tenant TENANT"),
        ("Envoy", "give --envoy URL"),
        ("overrides-sync", "give --overrides-sync URL"),
        ("overrides document", "give --configmap NAMESPACE/NAME"),
        ("Mimir", "give --mimir URL, or MIMIR_ADDRESS"),
    ] {
        let skipped = checks.iter().filter(|check| check["group"] == group && check["status"] == "skipped");
        assert!(skipped.clone().any(|check| check["detail"] == flag), "{group}: {health:#}");
    }
    let diagnosis = stubs.run("edgectl diagnose");
    assert_eq!(diagnosis.code, Some(0), "{diagnosis:?}");
    assert!(diagnosis.out.contains("√ mimir-rls") && diagnosis.out.ends_with("skipped.\n"), "{}", diagnosis.out);
}

#[test]
fn check_waits_until_all_is_well() {
    let stubs = Stubs::start(Faults { unready_requests: 1, ..Faults::default() });
    let finished = stubs.run("edgectl check --wait 1m");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.err.starts_with("edgectl: waiting: mimir-rls: it is ready: "), "{finished:?}");
    let never = Stubs::start(Faults { unready_requests: usize::MAX, ..Faults::default() });
    let begun = std::time::Instant::now();
    assert_eq!(never.run("edgectl check --wait 2100ms").code, Some(1));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn without_utf_8_results_are_words() {
    let nowhere = nowhere();
    let mut command = edgectl(&["check", "--address", &nowhere]);
    let finished = Finished::of(command.env("LC_ALL", "C").output().unwrap());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.is_ascii(), "{}", finished.out);
    assert!(finished.out.contains("\nfailure it answers\n    http://127.0.0.1:"), "{}", finished.out);
    assert!(finished.out.contains("\nskipped it takes pushes (skipped: give --envoy URL)\n"), "{}", finished.out);
    assert!(finished.out.contains("\n    see ops/runbooks/alerts.md#rlsdown\n"), "{}", finished.out);
}

#[test]
fn a_certificate_that_has_expired_is_named() {
    let runtime = runtime();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let (listener, pem) = runtime.block_on(tls_listener_of(params));
    let rls = Replica::serve("https", runtime, listener, |_| text(""));
    let ca = NamedTempFile::new().unwrap();
    fs::write(&ca, pem).unwrap();
    let ca = ca.path().display().to_string();
    let diagnosis = run(&["diagnose", "--address", &rls.url, "--ca-file", &ca, "-o", "json"]).json();
    assert_eq!(
        (&diagnosis["broken"], &diagnosis["cause"]["check"]),
        (&json!("mimir-rls"), &json!("its certificates are valid")),
        "{diagnosis}"
    );
}

#[test]
fn an_unreadable_file_of_a_flag_ends_with_66() {
    for subcommand in ["check", "diagnose"] {
        let finished = Finished::of(edgectl(&[subcommand, "--ca-file", "none.pem"]).output().unwrap());
        assert_eq!((finished.code, finished.out.as_str()), (Some(66), ""), "{finished:?}");
        assert!(finished.err.contains("none.pem"), "{finished:?}");
    }
}
