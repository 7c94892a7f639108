//! Mimir's runtime configuration: `overrides: {TENANT: {FIELD: VALUE}}` among other top-level keys (Mimir
//! `pkg/mimir/runtime_config.go`).
//!
//! Stricter readers than this one exist: Mimir refuses a document with a field it does not know. Which fields it knows
//! depends on its version, so here such a field is passed over with a problem.

use super::entry::{Setting, overlay};
use super::{Draft, Reading, problem, refusal, unmatched};
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity};
use crate::suggest::nearest;
use crate::tenant::TenantId;
use crate::value::{ValueError, mapping, shortened};
use crate::yaml::{Content, Entry, Node, Tree, YamlError};

const OVERRIDES: &str = "overrides";

/// Top-level keys; the last one was dropped in Mimir 3.0.
const TOP_LEVEL: [&str; 5] =
    [OVERRIDES, "distributor_limits", "ingester_limits", "multi_kv_config", "ingester_stream_chunks_when_using_blocks"];

/// Whether a mapping's key shows it to be a runtime configuration.
pub(super) fn is_top_level(key: &str) -> bool {
    TOP_LEVEL.contains(&key)
}

/// Why a mapping is no runtime configuration: it has keys, and none of them is Mimir's.
pub(super) fn mismatch(entries: &[Entry]) -> Option<YamlError> {
    let first = entries.first().filter(|_| !entries.iter().any(|entry| is_top_level(&entry.key)))?;
    let has = |name: &str| entries.iter().any(|entry| &*entry.key == name);
    if has("apiVersion") && has("kind") {
        let message = "is a Kubernetes manifest: write what its data holds into a file of its own".to_owned();
        return Some(YamlError { line: 0, message });
    }
    let message = format!("key {} is unknown; {}", shortened(&first.key), advice(&first.key));
    Some(YamlError { line: first.line, message })
}

/// Adds a document whose root is a mapping.
pub(super) fn read(document: &str, tree: &Tree, defaults: &TenantLimits, reading: &mut Reading) {
    for duplicate in &tree.duplicates {
        reading.refuse_duplicate(document, duplicate);
    }
    let Some(Content::Mapping(entries)) = tree.root.as_deref().map(|root| &root.content) else { return };
    for Entry { key, line, value } in entries {
        match &**key {
            OVERRIDES => read_overrides(document, value, defaults, reading),
            known if is_top_level(known) => {}
            unknown => {
                let message = format!("key {} is unknown and is ignored; {}", shortened(unknown), advice(unknown));
                reading.tell(problem(document, Some(*line), Severity::Ignored, message));
            }
        }
    }
}

fn read_overrides(document: &str, overrides: &Node, defaults: &TenantLimits, reading: &mut Reading) {
    match mapping(overrides, "tenants with their limits") {
        Err(ValueError(message)) => {
            reading.refuse(document, YamlError { line: overrides.line, message: format!("{OVERRIDES} {message}") });
        }
        Ok(None) => {}
        Ok(Some(tenants)) => {
            for tenant in tenants {
                read_tenant(document, tenant, defaults, reading);
            }
        }
    }
}

fn read_tenant(document: &str, Entry { key, line, value }: &Entry, defaults: &TenantLimits, reading: &mut Reading) {
    let of_tenant = |severity, message| Problem {
        tenant: Some(shortened(key)),
        ..problem(document, Some(*line), severity, message)
    };
    let fields = match mapping(value, "fields with their values") {
        Ok(Some(fields)) => fields,
        // Mimir takes a tenant without an entry for one without an override.
        Ok(None) => return,
        Err(ValueError(message)) => {
            reading.tell(of_tenant(Severity::Rejected, refusal(&format!("the entry {message}"))));
            reading.refused = true;
            return;
        }
    };
    let unmatched = unmatched(key).map(|message| of_tenant(Severity::Ignored, message));
    let known = TenantId::from(&**key);
    let (mut limits, said) = reading.below(&known, defaults);
    let settings: Vec<_> = fields.iter().map(|field| Setting::of_entry(document, field)).collect();
    let findings = overlay(&mut limits, Some(&shortened(key)), &settings, &mut reading.expressions);
    let said = said.union(findings.said);
    reading.take(findings);
    if let Some(unmatched) = unmatched {
        reading.tell(unmatched);
    } else {
        reading.drafts.insert(known, Draft { limits, said, faults: Vec::new() });
    }
}

/// What to write instead of a top-level key that Mimir does not have.
pub(super) fn advice(key: &str) -> String {
    match nearest(key, TOP_LEVEL.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("tenants belong below {OVERRIDES}:"),
    }
}
