use serde_json::{Value, json};

use super::*;

/// A request about the ConfigMap, as Kubernetes sends it.
fn request(old: &Value, new: &Value) -> Value {
    let object = |data: &Value| match data {
        Value::Null => Value::Null,
        data => {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mimir-runtime" }, "data": data })
        }
    };
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "request-1",
            "kind": { "group": "", "version": "v1", "kind": "ConfigMap" },
            "resource": { "group": "", "version": "v1", "resource": "configmaps" },
            "name": "mimir-runtime",
            "namespace": "mimir",
            "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "userInfo": { "username": "admin", "extra": { "a": ["b"] } },
            "object": object(new),
            "oldObject": object(old),
            "dryRun": false,
            "options": null,
        },
    })
}

fn response_to(request: &Value) -> Result<(Value, ReviewOutcome), String> {
    response_for("mimir/mimir-runtime", request)
}

fn response_for(configmap: &str, request: &Value) -> Result<(Value, ReviewOutcome), String> {
    let configmap = configmap.parse().map_err(|error| format!("{error}"))?;
    let rules = Rules {
        configmap,
        defaults: limits::Defaults::default(),
        version: limits::MimirVersion::default(),
        allow_empty: false,
    };
    let (response, outcome) = respond(&rules, request.to_string().as_bytes())?;
    Ok((serde_json::to_value(response).map_err(|error| error.to_string())?, outcome))
}

#[track_caller]
fn check(request: &Value, response: &Value, outcome: ReviewOutcome) {
    let expected = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response });
    assert_eq!(response_to(request), Ok((expected, outcome)));
}

#[test]
fn each_response_is_what_kubernetes_reads() {
    let rate = |rate: &str| json!({ "a.ingestion_rate": rate });
    let allowed = json!({ "uid": "request-1", "allowed": true });
    check(&request(&Value::Null, &rate("5")), &allowed, ReviewOutcome::Allowed);
    check(&request(&rate("5"), &rate("6")), &allowed, ReviewOutcome::Allowed);
    let message = "a.ingestion_rate: tenant a: field ingestion_rate is \"x\": write a number such as 10000";
    let status = json!({ "code": 422, "reason": "Invalid", "message": message });
    let denied = json!({ "uid": "request-1", "allowed": false, "status": status });
    check(&request(&rate("5"), &rate("x")), &denied, ReviewOutcome::Denied);
    let new = json!({ "runtime.yaml": "overrides: {a/b: {}}" });
    let warning = "runtime.yaml:1: tenant a/b: no push is ever of this tenant, and the entry is ignored: tenant ID 'a/b' \
                   contains unsupported character '/'";
    let warned = json!({ "uid": "request-1", "allowed": true, "warnings": [warning] });
    check(&request(&Value::Null, &new), &warned, ReviewOutcome::Warned);
}

#[test]
fn whatever_is_about_something_else_is_allowed_in_silence() {
    let bad = request(&Value::Null, &json!({ "a.ingestion_rate": "x" }));
    for (field, value) in [
        ("name", json!("another")),
        ("name", json!("")),
        ("namespace", json!("another")),
        ("operation", json!("DELETE")),
        ("operation", json!("CONNECT")),
        ("subResource", json!("status")),
        ("kind", json!({ "group": "", "version": "v1", "kind": "Secret" })),
        ("kind", json!({ "group": "apps", "version": "v1", "kind": "ConfigMap" })),
    ] {
        let mut other = bad.clone();
        other["request"][field] = value;
        check(&other, &json!({ "uid": "request-1", "allowed": true }), ReviewOutcome::Passed);
    }
    assert!(
        response_to(&bad).is_ok_and(|(_, outcome)| outcome == ReviewOutcome::Denied),
        "otherwise the request is denied"
    );
}

#[test]
fn what_cannot_be_read_is_allowed_with_a_warning() -> Result<(), String> {
    let mut odd = request(&Value::Null, &json!({}));
    odd["request"]["object"]["data"] = json!({ "a": 5 });
    let (response, outcome) = response_to(&odd)?;
    assert_eq!((&response["response"]["allowed"], outcome), (&json!(true), ReviewOutcome::NotReviewed));
    let warning = response["response"]["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.starts_with("overrides were not checked: the ConfigMap cannot be read: "), "{warning}");
    let late = respond_not_reviewed(odd.to_string().as_bytes(), "it takes too long")?;
    assert_eq!(late.response.uid, "request-1");
    Ok(())
}

#[test]
fn what_is_no_review_has_no_response() {
    for text in ["", "{}", "[]", "{\"request\": null}", "{\"request\": {\"uid\": 5}}"] {
        let error = response_to(&serde_json::from_str(text).unwrap_or(Value::Null)).map(|_| ()).err();
        assert!(error.is_some_and(|error| error.starts_with("no AdmissionReview: ")), "{text}");
    }
}

#[test]
fn with_a_label_every_configmap_that_has_it_is_reviewed() {
    let mut request = request(&Value::Null, &json!({ "a.ingestion_rate": "x" }));
    request["request"]["name"] = json!("runtime-7f9c");
    let outcome = |request: &Value| response_for("mimir/app=runtime", request).map(|(_, outcome)| outcome);
    assert_eq!(outcome(&request), Ok(ReviewOutcome::Passed));
    for (value, expected) in [("runtime", ReviewOutcome::Denied), ("other", ReviewOutcome::Passed)] {
        request["request"]["object"]["metadata"]["labels"] = json!({ "app": value });
        assert_eq!(outcome(&request), Ok(expected), "{value}");
    }
}

#[test]
fn binary_data_is_reviewed_as_data_is() {
    let mut request = request(&Value::Null, &json!({}));
    // overrides: [a]
    request["request"]["object"]["binaryData"] = json!({ "runtime.yaml": "b3ZlcnJpZGVzOiBbYV0K" });
    assert_eq!(response_to(&request).map(|(_, outcome)| outcome), Ok(ReviewOutcome::Denied));
}
