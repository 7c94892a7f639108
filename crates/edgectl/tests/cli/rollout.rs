//! `edgectl rollout status` with a Prometheus that answers what a test says. `tests/e2e` has the real one.

use axum::response::IntoResponse;
use serde_json::json;

use crate::docs::{blocks, section};
use crate::replica::{Asked, Replica, fault};
use crate::run;

/// A parameter of a request.
fn parameter(asked: &Asked, name: &str) -> Option<f64> {
    let (_, parameters) = asked.target.split_once('?')?;
    parameters.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Each expression has this value for all of the time.
fn prometheus(value: fn(&str) -> f64) -> Replica {
    Replica::start(move |asked| {
        let (Some(start), Some(end)) = (parameter(asked, "start"), parameter(asked, "end")) else {
            return fault(404, &asked.target);
        };
        let text = value(&asked.target).to_string();
        let points = (0..=240_u32).map(|number| start + (end - start) * f64::from(number) / 240.0);
        let values: Vec<_> = points.map(|at| json!([at, text])).collect();
        json!({ "status": "success", "data": { "resultType": "matrix", "result": [{ "metric": {}, "values": values }] } })
            .to_string()
            .into_response()
    })
}

#[test]
fn the_status_of_a_rollout_is_that_of_the_docs() {
    let prometheus = prometheus(|target| if target.contains("ext_authz_error") { 0.25 } else { 0.0 });
    let section = section("## edgectl rollout status");
    assert_eq!(blocks(section, "sh"), ["edgectl rollout status --phase full\n"]);
    let finished = run(&["rollout", "status", "--phase", "full", "--prometheus", &prometheus.url]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.out.replace(&prometheus.url, "http://127.0.0.1:9090"), blocks(section, "text")[0]);
}

#[test]
fn it_goes_on_where_all_conditions_are_met() {
    let prometheus = prometheus(|target| match target {
        _ if target.contains("received_samples") => 1.0,
        _ if target.contains("status_code") => 0.0,
        _ if target.contains("cortex_request") => 100.0,
        _ => 0.0,
    });
    let arguments =
        ["rollout", "status", "--phase", "mirror", "--prometheus", &prometheus.url, "--header", "X-Scope-OrgID:a"];
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.ends_with("go on: ops/runbooks/rollout.md#phase-2-canary\n"), "{finished:?}");
    assert!(prometheus.asked().iter().all(|asked| asked.headers["x-scope-orgid"] == "a"));
    let canary = run(&["rollout", "status", "--phase", "canary", "--prometheus", &prometheus.url]);
    assert_eq!(canary.code, Some(0), "{canary:?}");
    assert!(canary.out.contains("look in the log of the proxy too: 5xx in that list"), "{canary:?}");
}
