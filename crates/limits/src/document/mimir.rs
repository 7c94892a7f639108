//! Mimir's runtime configuration: `overrides: {TENANT: {FIELD: VALUE}}` among other sections (Mimir
//! `pkg/mimir/runtime_config.go`), of one document or of several that are merged. It is taken whole or refused whole.

use go_yaml::{Document, RuntimeConfig};

use super::entry::{DocumentFormat, Setting, overlay};
use super::{Draft, Loaded, problem, rejection_message, unmatched_reason};
use crate::code::Code;
use crate::defaults::{MimirSettings, override_base};
use crate::problem::{Problem, Severity};
use crate::schema::{self, Validation};
use crate::suggest::nearest;
use crate::tenant::TenantId;
use crate::value::shortened;
use crate::yaml::{Content, Entry, Node, YamlError};

const OVERRIDES: &str = "overrides";

/// Sections of the document; the last one was dropped in Mimir 3.0.
const SECTIONS: [&str; 5] =
    [OVERRIDES, "distributor_limits", "ingester_limits", "multi_kv_config", "ingester_stream_chunks_when_using_blocks"];

/// Whether a mapping's key shows it to be a runtime configuration.
pub(super) fn is_section(key: &str) -> bool {
    SECTIONS.contains(&key)
}

/// Why a mapping is no runtime configuration: it has keys, and none of them is Mimir's.
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
    // Each is gone once it is taken over: of a large one there is no more than is needed.
    for document in documents {
        if let Err(error) = config.add(&document) {
            return loaded.reject(document.name(), error.into());
        }
    }
    let name_of = |source: usize| names.get(source).map_or("overrides", String::as_str);
    let root = match config.into_tree() {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return loaded.reject(name_of(0), error.into()),
    };
    let mut found = schema::check(Some(&root), &mimir.version, &mimir.defaults.rules, mimir.defaults.query_store_after);
    if is_manifest(&root) {
        let message = "is a Kubernetes manifest: write what its data holds into a file of its own";
        found.faults.truncate(1);
        found.faults.iter_mut().for_each(|fault| fault.message = message.to_owned());
    }
    report(&found, name_of, "load file: ", loaded);
    if loaded.rejected {
        return;
    }
    let Content::Mapping(sections) = &root.content else { return };
    let overrides = sections.iter().find(|section| &*section.key == OVERRIDES && !section.is_null);
    if let Some(Content::Mapping(tenants)) = overrides.map(|overrides| &overrides.value.content) {
        for tenant in tenants.iter().filter(|tenant| !tenant.is_null) {
            read_tenant(name_of(tenant.place.source), tenant, mimir, loaded);
        }
    }
}

/// Reports what the schema found. Mimir names the first fault, or all of a kind: its message goes with the first of our problems.
pub(super) fn report<'d>(found: &Validation, name_of: impl Fn(usize) -> &'d str, prefix: &str, loaded: &mut Loaded) {
    let mut mimir = found.mimir_error().map(|text| format!("{prefix}{text}"));
    loaded.rejected |= found.rejected;
    loaded.problems.add_unlisted(found.unlisted);
    for fault in &found.faults {
        let is_rejection = fault.severity == Severity::Rejected;
        let line = Some(fault.place.line).filter(|line| *line > 0);
        let message = if is_rejection { rejection_message(&fault.message) } else { fault.message.clone() };
        let base = problem(fault.code, name_of(fault.place.source), line, fault.severity, message);
        loaded.report(Problem {
            tenant: fault.tenant.as_deref().map(shortened),
            field: fault.field.clone(),
            mimir: if is_rejection { mimir.take() } else { None },
            ..base
        });
    }
}

fn is_manifest(root: &Node) -> bool {
    let Content::Mapping(sections) = &root.content else { return false };
    ["apiVersion", "kind"].iter().all(|name| sections.iter().any(|section| &*section.key == *name))
}

fn read_tenant(document: &str, tenant: &Entry, mimir: &MimirSettings, loaded: &mut Loaded) {
    let Entry { key, place, value, .. } = tenant;
    let unmatched_reason = unmatched_reason(key);
    // Mimir takes a tenant without a map for one without an override.
    let Content::Mapping(fields) = &value.content else {
        loaded.others.push((Box::from(&**key), mimir.defaults.limits.clone()));
        return;
    };
    let known = TenantId::from(&**key);
    let mut limits = override_base(&mimir.defaults.limits);
    let settings: Vec<_> = fields.iter().map(|field| Setting::of_entry(document, field)).collect();
    let findings =
        overlay(&mut limits, Some(&shortened(key)), &settings, &mut loaded.expressions, DocumentFormat::Mimir);
    let overridden = findings.overridden;
    loaded.add_findings(findings);
    match unmatched_reason {
        Some(message) => {
            let line = Some(place.line);
            let note = problem(Code::UnmatchedTenant, document, line, Severity::Ignored, message);
            loaded.report(Problem { tenant: Some(shortened(key)), ..note });
            loaded.others.push((Box::from(&**key), limits));
        }
        None => {
            loaded.drafts.insert(known, Draft { limits, overridden, faults: Vec::new() });
        }
    }
}
