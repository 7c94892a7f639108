//! Mimir's runtime configuration: `overrides: {TENANT: {FIELD: VALUE}}` and other sections (Mimir
//! `pkg/mimir/runtime_config.go`), in one document or in several that are merged. It is accepted or rejected as a whole.

use go_yaml::{Document, RuntimeConfig};

use super::entry::{DocumentFormat, Setting, overlay, places};
use super::{Draft, Loaded, unmatched, unmatched_reason};
use crate::code::Code;
use crate::defaults::{MimirSettings, override_base};
use crate::problem::{Problem, Severity, rejection_message};
use crate::schema::{self, Validation};
use crate::suggest::nearest;
use crate::tenant::TenantId;
use crate::value::shortened;
use crate::yaml::{Content, Entry, Node, YamlError};

const OVERRIDES: &str = "overrides";

/// Sections of the document; the last one was dropped in Mimir 3.0.
const SECTIONS: [&str; 5] =
    [OVERRIDES, "distributor_limits", "ingester_limits", "multi_kv_config", "ingester_stream_chunks_when_using_blocks"];

/// Whether a root key identifies a runtime configuration.
pub(super) fn is_section(key: &str) -> bool {
    SECTIONS.contains(&key)
}

/// Why a mapping is no runtime configuration: it has keys, and none is Mimir's.
pub(super) fn mismatch(document: &Document) -> Option<YamlError> {
    let (first, _, line) = document.root_keys().next()?;
    if document.root_keys().any(|(key, ..)| is_section(key)) {
        return None;
    }
    let message = format!("key {} is unknown; {}", shortened(first), advice(first));
    Some(YamlError::new(Code::NotARuntimeConfiguration, line, message))
}

/// What to write instead of a section that Mimir does not have.
fn advice(key: &str) -> String {
    match nearest(key, SECTIONS.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("tenants belong below {OVERRIDES}:"),
    }
}

/// Adds documents, which are merged from left to right.
pub(super) fn read(documents: Vec<Document>, mimir: &MimirSettings, loaded: &mut Loaded) {
    let mut config = RuntimeConfig::default();
    let names: Vec<_> = documents.iter().map(|document| document.name().to_owned()).collect();
    // Each document is dropped once it is merged, to save memory.
    for document in documents {
        if let Err(error) = config.add(&document) {
            return loaded.problems.reject(document.name(), error.into());
        }
    }
    let name_of = |source: usize| names.get(source).map_or("overrides", String::as_str);
    let root = match config.into_tree() {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return loaded.problems.reject(name_of(0), error.into()),
    };
    let mut found = schema::check(Some(&root), mimir);
    if is_manifest(&root) {
        let message = "is a Kubernetes manifest: write what its data holds into a file of its own";
        found.faults.truncate(1);
        found.faults.iter_mut().for_each(|fault| fault.message = message.to_owned());
    }
    report(&found, name_of, "load file: ", loaded);
    if loaded.problems.rejected {
        return;
    }
    let Content::Mapping(sections) = &root.content else { return };
    let overrides = sections.iter().find(|section| &*section.key == OVERRIDES && !section.is_null);
    if let Some(Content::Mapping(tenants)) = overrides.map(|overrides| &overrides.value.content) {
        for tenant in tenants.iter().filter(|tenant| !tenant.is_null) {
            read_tenant(name_of, tenant, mimir, loaded);
        }
    }
}

/// Reports the faults that the schema check found. Mimir's error, which may contain several, goes with the first problem.
pub(super) fn report<'d>(found: &Validation, name_of: impl Fn(usize) -> &'d str, prefix: &str, loaded: &mut Loaded) {
    let mut mimir = found.mimir_error().map(|text| format!("{prefix}{text}"));
    loaded.problems.rejected |= found.rejected;
    loaded.problems.add_unlisted(found.unlisted);
    for fault in &found.faults {
        let is_rejection = fault.severity == Severity::Rejected;
        let message = if is_rejection { rejection_message(&fault.message) } else { fault.message.clone() };
        let problem = Problem::of_document(fault.code, name_of(fault.position.source), fault.severity, message);
        loaded.problems.report(Problem {
            tenant: fault.tenant.as_deref().map(shortened),
            field: fault.field.clone(),
            mimir: if is_rejection { mimir.take() } else { None },
            ..problem.at(fault.position.line)
        });
    }
}

fn is_manifest(root: &Node) -> bool {
    let Content::Mapping(sections) = &root.content else { return false };
    ["apiVersion", "kind"].iter().all(|name| sections.iter().any(|section| &*section.key == *name))
}

fn read_tenant<'d>(name_of: impl Fn(usize) -> &'d str, tenant: &Entry, mimir: &MimirSettings, loaded: &mut Loaded) {
    let Entry { key, position, value, .. } = tenant;
    // To Mimir, a tenant without a map has no override.
    let Content::Mapping(fields) = &value.content else {
        loaded.others.push((Box::from(&**key), mimir.defaults.limits.clone()));
        return;
    };
    let mut limits = override_base(&mimir.defaults.limits);
    // Documents are merged field by field.
    let settings: Vec<_> =
        fields.iter().map(|field| Setting::of_entry(name_of(field.position.source), field)).collect();
    let findings =
        overlay(&mut limits, Some(&shortened(key)), &settings, &mut loaded.expressions, DocumentFormat::Mimir);
    let overridden = findings.overridden;
    loaded.add_findings(findings);
    match unmatched_reason(key) {
        Some(message) => {
            loaded.problems.report(unmatched(key, name_of(position.source), Some(position.line), message));
            loaded.others.push((Box::from(&**key), limits));
        }
        None => {
            let key = TenantId::from(&**key);
            loaded.places.add(&key, &places(&settings, overridden, DocumentFormat::Mimir));
            loaded.drafts.insert(key, Draft { limits, overridden, faults: Vec::new() });
        }
    }
}
