//! The content of Events, from the problems of one revision of a ConfigMap. Pure.
//!
//! A problem makes the same Event in every process, so that several overrides-sync report it once.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use limits::{ObjectRevision, Problem, Severity};
use limits_source::NamespacedName;

/// The reporting controller.
const CONTROLLER: &str = "mimir-edge/overrides-sync";
/// The most problems of a state that are reported, the most severe first.
pub(super) const MAX_PROBLEMS: usize = 50;
/// The longest note that Kubernetes accepts (`NoteLengthLimit` of its event validation), in bytes.
const MAX_NOTE_BYTES: usize = 1_024;
/// The longest name of an object.
const MAX_NAME_BYTES: usize = 253;
/// The length of the hash in a name, in characters: 64 bits are enough for some thousand problems.
const HASH_CHARACTERS: usize = 16;

/// An Event without time and reporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) name: String,
    reason: &'static str,
    action: &'static str,
    text: String,
}

/// The Events for these problems, the most severe first. Errors of reading the ConfigMap, whose document is the ConfigMap itself, are left to logs and
/// metrics.
pub(super) fn notes(configmap: &NamespacedName, origin: &ObjectRevision, problems: &[Problem]) -> Vec<Note> {
    let whole = configmap.to_string();
    let mut worst: Vec<_> = problems.iter().filter(|problem| problem.document != whole).collect();
    worst.sort_by_key(|problem| problem.severity);
    let mut names = HashSet::new();
    let of_problem = |problem: &Problem| {
        let (reason, action) = reason_and_action(problem.severity);
        Note::new(configmap, origin, reason, action, &problem.in_full())
    };
    let mut all: Vec<_> = worst.into_iter().map(of_problem).filter(|note| names.insert(note.name.clone())).collect();
    let unreported = all.len().saturating_sub(MAX_PROBLEMS);
    if unreported > 0 {
        all.truncate(MAX_PROBLEMS);
        let text = format!(
            "{unreported} more problems have no Event of their own; fix these first, or see /api/v1/problems of overrides-sync"
        );
        all.push(Note::new(configmap, origin, "MoreProblems", "List", &text));
    }
    all
}

/// Machine-readable, so as stable as the names of metrics.
fn reason_and_action(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Rejected => ("InvalidOverrides", "RejectDocument"),
        Severity::Shadowed => ("TenantInShadow", "PutTenantInShadow"),
        Severity::Kept => ("LastGoodLimitsKept", "KeepLastGoodLimits"),
        Severity::Ignored => ("OverrideIgnored", "IgnoreOverride"),
    }
}

impl Note {
    fn new(
        configmap: &NamespacedName,
        origin: &ObjectRevision,
        reason: &'static str,
        action: &'static str,
        text: &str,
    ) -> Self {
        let hash = format!("{:x}", md5::compute(format!("{}\0{reason}\0{text}", origin.uid)));
        let hash = bounded(&hash, HASH_CHARACTERS);
        // A cut can leave characters at the end that must not precede a dot.
        let prefix = bounded(&configmap.name, MAX_NAME_BYTES - HASH_CHARACTERS - 1);
        let name = format!("{}.{hash}", prefix.trim_end_matches(['.', '-']));
        Self { name, reason, action, text: shortened(text) }
    }

    /// The object to create.
    pub(super) fn event(
        &self,
        configmap: &NamespacedName,
        origin: &ObjectRevision,
        instance: &str,
        observed: MicroTime,
    ) -> Event {
        let namespace = Some(configmap.namespace.clone());
        Event {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: namespace.clone(),
                ..ObjectMeta::default()
            },
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                namespace,
                name: Some(configmap.name.clone()),
                uid: Some(origin.uid.to_string()),
                ..ObjectReference::default()
            }),
            type_: Some("Warning".to_owned()),
            reason: Some(self.reason.to_owned()),
            action: Some(self.action.to_owned()),
            note: Some(self.text.clone()),
            event_time: Some(observed),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }
}

fn shortened(text: &str) -> String {
    const MORE: &str = "…";
    if text.len() <= MAX_NOTE_BYTES {
        return text.to_owned();
    }
    format!("{}{MORE}", bounded(text, MAX_NOTE_BYTES - MORE.len()))
}

/// As many characters as fit into so many bytes.
fn bounded(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
