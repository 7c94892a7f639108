//! The messages between Kubernetes and the webhook (`admission.k8s.io/v1`): pure.
//!
//! A request is decoded only as far and as strictly as needed: a field that Kubernetes adds must not block a change. Changes of other objects are allowed
//! without a warning. kube's own types of these messages decode more, and fail if the object cannot be decoded.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use limits_source::{ConfigMapData, ConfigMapSpec};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::review::{Review, Rules, review};

/// The fields of the request that the webhook reads.
#[derive(Deserialize)]
struct AdmissionReview<'b> {
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

/// The labels of any object.
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

/// The response.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewResponse {
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

/// The result of a review, for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ReviewOutcome {
    /// Allowed without warnings.
    Allowed,
    /// Allowed with warnings.
    Warned,
    /// Denied.
    Denied,
    /// A change of another object.
    Passed,
    /// Allowed without a review.
    NotReviewed,
}

impl ReviewOutcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
            Self::Passed => "passed",
            Self::NotReviewed => "not_reviewed",
        }
    }
}

/// A response, or why the request is invalid.
pub(super) type Reviewed = Result<(ReviewResponse, ReviewOutcome), String>;

/// Reviews a request. A request without a uid is an error, since no response would fit it.
pub(super) fn respond(rules: &Rules, request: &[u8]) -> Reviewed {
    let request = decode(request)?;
    let uid = request.uid.clone();
    if !concerns(&rules.configmap, &request) {
        return Ok((ReviewResponse::new(uid, Review::default()), ReviewOutcome::Passed));
    }
    let contents = request.old_object.map(content).transpose();
    let contents = contents.and_then(|old| Ok((old, content(request.object.unwrap_or(RawValue::NULL))?)));
    Ok(match contents {
        Ok((old, new)) => {
            let review = review(rules, old.as_ref(), &new);
            let outcome = match &review {
                Review { denial: Some(_), .. } => ReviewOutcome::Denied,
                Review { warnings, .. } if !warnings.is_empty() => ReviewOutcome::Warned,
                Review { .. } => ReviewOutcome::Allowed,
            };
            (ReviewResponse::new(uid, review), outcome)
        }
        Err(error) => {
            (not_reviewed(uid, &format!("the ConfigMap cannot be read: {error}")), ReviewOutcome::NotReviewed)
        }
    })
}

fn content(object: &RawValue) -> serde_json::Result<ConfigMapData> {
    serde_json::from_str::<ConfigMap>(object.get()).map(ConfigMapData::from)
}

/// Allows a change that could not be reviewed.
fn not_reviewed(uid: String, why: &str) -> ReviewResponse {
    let warnings = vec![format!("overrides were not checked: {why}")];
    ReviewResponse::new(uid, Review { denial: None, warnings })
}

/// Allows the change of this request, with a warning why it was not reviewed.
pub(super) fn respond_not_reviewed(request: &[u8], why: &str) -> Result<ReviewResponse, String> {
    Ok(not_reviewed(decode(request)?.uid, why))
}

fn decode(request: &[u8]) -> Result<Request<'_>, String> {
    let review: AdmissionReview<'_> =
        serde_json::from_slice(request).map_err(|error| format!("no AdmissionReview: {error}"))?;
    Ok(review.request)
}

fn concerns(configmap: &ConfigMapSpec, request: &Request<'_>) -> bool {
    let is_selected = || {
        // Unreadable labels match no selector; such an object could not be reviewed either.
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

impl ReviewResponse {
    fn new(uid: String, Review { denial, warnings }: Review) -> Self {
        let allowed = denial.is_none();
        let status = denial.map(|message| Status { code: 422, reason: "Invalid", message });
        let response = Response { uid, allowed, status, warnings };
        Self { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response }
    }
}

#[cfg(test)]
mod tests;
