//! The messages between Kubernetes and the webhook (`admission.k8s.io/v1`), and what is answered to which: pure.
//!
//! Only what is needed is read, and only as strictly as needed: a field that Kubernetes adds must not stop anybody's change. What is not about the
//! ConfigMap is allowed without a word.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use limits_source::{ConfigMapData, ConfigMapSpec};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::review::{Review, Rules, review};

/// What the webhook is asked about, as far as it reads it.
#[derive(Deserialize)]
struct Question<'b> {
    #[serde(borrow)]
    request: Request<'b>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'b> {
    uid: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    operation: String,
    #[serde(borrow, default)]
    object: Option<&'b RawValue>,
    #[serde(borrow, default)]
    old_object: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    group: String,
    kind: String,
}

/// A ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigMap {
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
    #[serde(default)]
    binary_data: Option<BTreeMap<String, ByteString>>,
}

/// Any object, as far as a label can select it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    labels: Option<BTreeMap<String, String>>,
}

/// The answer as Kubernetes reads it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Debug, PartialEq, Serialize)]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// What an answer comes to, for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kindness {
    /// Nothing was wrong.
    Allowed,
    /// Allowed with warnings.
    Warned,
    /// Denied.
    Denied,
    /// It was about something else.
    Passed,
    /// It could not be judged, and was allowed.
    Unjudged,
}

/// Answers a question. One that cannot even be told apart from others has no answer that Kubernetes would take: an error in one line.
pub(super) fn answer(rules: &Rules, question: &[u8]) -> Result<(Answer, Kindness), String> {
    let Question { request } =
        serde_json::from_slice(question).map_err(|error| format!("no AdmissionReview: {error}"))?;
    let uid = request.uid.clone();
    if !concerns(&rules.configmap, &request) {
        return Ok((Answer::new(uid, Review::default()), Kindness::Passed));
    }
    let contents = request.old_object.map(content).transpose();
    let contents = contents.and_then(|old| Ok((old, content(request.object.unwrap_or(RawValue::NULL))?)));
    Ok(match contents {
        Ok((old, new)) => {
            let review = review(rules, old.as_ref(), &new);
            let kindness = match &review {
                Review { denial: Some(_), .. } => Kindness::Denied,
                Review { warnings, .. } if !warnings.is_empty() => Kindness::Warned,
                Review { .. } => Kindness::Allowed,
            };
            (Answer::new(uid, review), kindness)
        }
        Err(error) => (unjudged(uid, &format!("the ConfigMap cannot be read: {error}")), Kindness::Unjudged),
    })
}

/// Lets a change through that could not be judged.
fn unjudged(uid: String, why: &str) -> Answer {
    let warnings = vec![format!("overrides were not checked: {why}")];
    Answer::new(uid, Review { denial: None, warnings })
}

/// Lets the change of this question through, with a word why it was not judged.
pub(super) fn answer_unjudged(question: &[u8], why: &str) -> Result<Answer, String> {
    let Question { request } =
        serde_json::from_slice(question).map_err(|error| format!("no AdmissionReview: {error}"))?;
    Ok(unjudged(request.uid, why))
}

fn concerns(configmap: &ConfigMapSpec, request: &Request<'_>) -> bool {
    let is_selected = || {
        // Labels that cannot be read select nothing; the rest of such an object cannot be read either.
        let object = request.object.and_then(|object| serde_json::from_str::<Object>(object.get()).ok());
        let labels = object.unwrap_or_default().metadata.labels.unwrap_or_default();
        configmap.selects(&request.namespace, &request.name, &labels)
    };
    request.kind.group.is_empty()
        && request.kind.kind == "ConfigMap"
        && request.sub_resource.is_empty()
        && matches!(request.operation.as_str(), "CREATE" | "UPDATE")
        && is_selected()
}

fn content(object: &RawValue) -> serde_json::Result<ConfigMapData> {
    let ConfigMap { data, binary_data } = serde_json::from_str(object.get())?;
    let binary = binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    Ok(ConfigMapData { text: data.unwrap_or_default(), binary })
}

impl Answer {
    fn new(uid: String, Review { denial, warnings }: Review) -> Self {
        let allowed = denial.is_none();
        let status = denial.map(|message| Status { code: 422, reason: "Invalid", message });
        let response = Response { uid, allowed, status, warnings };
        Self { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response }
    }
}

#[cfg(test)]
mod tests;
