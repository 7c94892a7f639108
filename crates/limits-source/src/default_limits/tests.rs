use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

/// What `--default-limits` (as a file of this text) and `--default-limits-flags` come to.
fn known(file: Option<&str>, flags: Option<&str>) -> Result<DefaultLimits, DefaultLimitsError> {
    let options = DefaultLimitsOptions {
        file: file.map(|_| "mimir.yaml".into()),
        flags: flags.map(str::to_owned),
        ..DefaultLimitsOptions::default()
    };
    let text = file.unwrap_or_default();
    match options.read_with(&MimirVersion::default(), |_| Ok(("mimir.yaml".to_owned(), text.into())))? {
        DefaultLimitsSource::Known(known) => Ok(known),
        DefaultLimitsSource::Mimir(url) => panic!("{url} was not given"),
    }
}

fn differences(limits: &TenantLimits) -> Vec<(&'static str, String)> {
    limits.differences(&TenantLimits::default()).collect()
}

#[track_caller]
fn check(file: Option<&str>, flags: Option<&str>, expected: &[(&str, &str)]) {
    let known = known(file, flags).unwrap();
    let expected: Vec<_> = expected.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
    assert_eq!(differences(&known.defaults.limits), expected, "{file:?} {flags:?}");
    assert_eq!(known.problems, [], "{file:?} {flags:?}");
}

#[track_caller]
fn rejected(file: Option<&str>, flags: Option<&str>, expected: &str) {
    assert_eq!(known(file, flags).unwrap_err().to_string(), expected);
}

#[test]
fn flags_override_the_file_and_the_file_overrides_the_defaults() {
    check(None, None, &[]);
    check(Some("limits: {ingestion_rate: 7}"), None, &[("ingestion_rate", "7")]);
    check(None, Some("-distributor.ingestion-rate-limit=500000"), &[("ingestion_rate", "500000")]);
    // As the real Mimir does with this file and these flags.
    check(
        Some("target: all\nlimits: {ingestion_rate: 7, request_rate: 9, ingestion_burst_size: 77}"),
        Some("-distributor.ingestion-rate-limit=500000 --distributor.request-rate-limit 11 -log.level=warn"),
        &[("ingestion_burst_size", "77"), ("ingestion_rate", "500000"), ("request_rate", "11")],
    );
    check(Some("limits: {ingestion_rate: 7}"), Some("-distributor.ingestion-rate-limit=10000"), &[]);
}

#[test]
fn what_a_flag_does_not_say_stays_the_files() {
    let file = "limits: {name_validation_scheme: utf8, drop_labels: [z], ingestion_rate: .inf}";
    check(
        Some(file),
        Some("-distributor.drop-label=a"),
        &[("drop_labels", "[\"z\", \"a\"]"), ("ingestion_rate", ".inf"), ("name_validation_scheme", "utf8")],
    );
    check(
        Some(file),
        Some("-validation.name-validation-scheme=legacy"),
        &[("drop_labels", "[\"z\"]"), ("ingestion_rate", ".inf")],
    );
}

#[test]
fn a_bad_flag_is_named() {
    rejected(
        None,
        Some("-distributor.ingestion-rate-limit=fast -validation.create-grace-period=5m"),
        "default limits: --default-limits-flags: -distributor.ingestion-rate-limit is \"fast\": write a number such as 10000",
    );
    let error = known(None, Some("-validation.create-grace-period=soon")).unwrap_err().to_string();
    assert!(error.starts_with("default limits: --default-limits-flags: -validation.create-grace-period: "), "{error}");
    assert!(error.contains("soon") && !error.contains("document"), "{error}");
}

#[test]
fn a_rule_that_file_and_flags_break_together_is_reported() {
    let file = "limits: {label_value_length_over_limit_strategy: drop}";
    let error = known(Some(file), Some("-validation.max-length-label-value=20")).unwrap_err().to_string();
    assert!(error.contains("--default-limits-flags"), "{error}");
}

#[test]
fn the_query_ingesters_within_rule_uses_file_and_flags() {
    let within = |known: &DefaultLimits| known.defaults.query_store_after;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert_eq!(within(&known(None, None).unwrap()), hours(12));
    let file = Some("querier: {query_store_after: 3h}\nlimits: {}");
    assert_eq!(within(&known(file, None).unwrap()), hours(3));
    assert_eq!(within(&known(file, Some("-querier.query-store-after=4h")).unwrap()), hours(4));
    assert_eq!(within(&known(None, Some("-querier.query-store-after 0")).unwrap()), hours(0));
    rejected(
        None,
        Some("-querier.query-store-after=soon"),
        "default limits: --default-limits-flags: -querier.query-store-after is \"soon\": write a duration such as 12h or 1h30m",
    );
}

#[test]
fn arguments_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("args");
    std::fs::write(
        &path,
        "# the distributor's\n-distributor.request-rate-limit=5 -target=all\n-distributor.request-burst-size\n7\n",
    )
    .unwrap();
    check(None, Some(&format!("@{}", path.display())), &[("request_burst_size", "7"), ("request_rate", "5")]);
    std::fs::write(&path, b"-a=\xff").unwrap();
    rejected(
        None,
        Some(&format!("@{}", path.display())),
        "default limits: --default-limits-flags: the file is not UTF-8: save it as UTF-8",
    );
    rejected(None, Some("@/nowhere/at-all"), "--default-limits-flags: cannot read /nowhere/at-all");
}

#[test]
fn variables_are_replaced_where_that_is_requests_for() {
    let options =
        |expand_env| DefaultLimitsOptions { file: Some("x".into()), expand_env, ..DefaultLimitsOptions::default() };
    let file = |text: &'static str| move |_: &Path| Ok(("mimir.yaml".to_owned(), text.as_bytes().to_vec()));
    // PATH is set wherever tests run.
    let text = "limits: {ingestion_rate: ${NOT_SET_ANYWHERE:5}, ha_cluster_label: \"${PATH}\"}";
    let Ok(DefaultLimitsSource::Known(known)) = options(true).read_with(&MimirVersion::default(), file(text)) else {
        panic!("rejected")
    };
    assert_eq!(known.defaults.limits.ingestion_rate, 5.0);
    assert_eq!(&*known.defaults.limits.ha_cluster_label, std::env::var("PATH").unwrap());
    assert!(options(false).read_with(&MimirVersion::default(), file(text)).is_err());
}

#[test]
fn options_that_do_not_go_together_are_rejected() {
    let none = DefaultLimitsOptions::default;
    let url = Some("http://mimir".to_owned());
    for (options, part) in [
        (DefaultLimitsOptions { expand_env: true, ..none() }, "--default-limits-expand-env"),
        (DefaultLimitsOptions { url: url.clone(), flags: Some(String::new()), ..none() }, "leave out"),
        (DefaultLimitsOptions { url, file: Some("x".into()), ..none() }, "leave out"),
        (DefaultLimitsOptions { url: Some("mimir:80".to_owned()), ..none() }, "must begin with http"),
    ] {
        let error = options.read(&MimirVersion::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(!none().are_given());
    assert!(DefaultLimitsOptions { flags: Some(String::new()), ..none() }.are_given());
}

/// A server that answers the first `failures` requests with 503.
async fn mimir(path: &'static str, failures: usize, config: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let answer = move || async move {
        match requests.fetch_add(1, Ordering::Relaxed) < failures {
            true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            false => config.into_response(),
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route(path, get(answer))).await });
    format!("http://{address}")
}

async fn from_url(url: String, patience: Duration) -> Result<DefaultLimits, DefaultLimitsError> {
    DefaultLimitsOptions { url: Some(url), ..DefaultLimitsOptions::default() }
        .read(&MimirVersion::default())?
        .resolve(patience)
        .await
}

#[tokio::test]
async fn a_mimir_is_requests_for_its_configuration() {
    let url = mimir("/config", 0, "target: all\nlimits:\n    ingestion_rate: 5\n").await;
    assert_eq!(from_url(url, Duration::ZERO).await.unwrap().defaults.limits.ingestion_rate, 5.0);
    let url = mimir("/prefix/config", 0, "limits: {ingestion_rate: 6}").await;
    assert_eq!(
        from_url(url.clone() + "/prefix/config", Duration::ZERO).await.unwrap().defaults.limits.ingestion_rate,
        6.0
    );
    let error = from_url(url.clone(), Duration::ZERO).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("{url}/config: it answered 404")) && error.contains("-server.path-prefix"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mimir_that_starts_is_requests_again() {
    let url = mimir("/config", 1, "limits: {ingestion_rate: 5}").await;
    assert_eq!(from_url(url, Duration::from_secs(20)).await.unwrap().defaults.limits.ingestion_rate, 5.0);
    let url = mimir("/config", 1, "limits: {ingestion_rate: 5}").await;
    let error = from_url(url, Duration::ZERO).await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_configuration_is_rejected() {
    let url = mimir("/config", 0, "limits: {ingestion_rate: fast}").await;
    let error = from_url(url.clone(), Duration::ZERO).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{url}/config:1: ")), "{error}");
}
