//! Mimir's runtime configuration: `overrides: {TENANT: {FIELD: VALUE}}` among other sections (Mimir
//! `pkg/mimir/runtime_config.go`), of one document or of several that are merged. It is taken whole or refused whole.

use go_yaml::{Document, RuntimeConfig};

use super::entry::{Setting, Spelling, overlay};
use super::{Draft, Reading, problem, refusal, unmatched};
use crate::code::Code;
use crate::defaults::{Judge, below_override};
use crate::problem::{Problem, Severity};
use crate::schema::{self, Checked};
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
pub(super) fn read(documents: Vec<Document>, judge: &Judge, reading: &mut Reading) {
    let mut config = RuntimeConfig::default();
    let names: Vec<_> = documents.iter().map(|document| document.name().to_owned()).collect();
    // Each is gone once it is taken over: of a large one there is no more than is needed.
    for document in documents {
        if let Err(error) = config.add(&document) {
            return reading.refuse(document.name(), error.into());
        }
    }
    let name_of = |source: usize| names.get(source).map_or("overrides", String::as_str);
    let root = match config.into_tree() {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return reading.refuse(name_of(0), error.into()),
    };
    let mut found = schema::check(Some(&root), &judge.version, &judge.defaults.rules, judge.defaults.query_store_after);
    if is_manifest(&root) {
        let message = "is a Kubernetes manifest: write what its data holds into a file of its own";
        found.faults.truncate(1);
        found.faults.iter_mut().for_each(|fault| fault.message = message.to_owned());
    }
    tell(&found, name_of, "load file: ", reading);
    if reading.refused {
        return;
    }
    let Content::Mapping(sections) = &root.content else { return };
    let overrides = sections.iter().find(|section| &*section.key == OVERRIDES && !section.is_null);
    if let Some(Content::Mapping(tenants)) = overrides.map(|overrides| &overrides.value.content) {
        for tenant in tenants.iter().filter(|tenant| !tenant.is_null) {
            read_tenant(name_of(tenant.place.source), tenant, judge, reading);
        }
    }
}

/// Takes over what the schema has found. Mimir names the first fault, or all of a kind: its words are told once, with the first of ours.
pub(super) fn tell<'d>(found: &Checked, name_of: impl Fn(usize) -> &'d str, prefix: &str, reading: &mut Reading) {
    let mut mimir = found.mimir_error().map(|text| format!("{prefix}{text}"));
    reading.refused |= found.refused;
    reading.problems.add_unlisted(found.unlisted);
    for fault in &found.faults {
        let is_refusal = fault.severity == Severity::Rejected;
        let line = Some(fault.place.line).filter(|line| *line > 0);
        let message = if is_refusal { refusal(&fault.message) } else { fault.message.clone() };
        let told = problem(fault.code, name_of(fault.place.source), line, fault.severity, message);
        reading.tell(Problem {
            tenant: fault.tenant.as_deref().map(shortened),
            field: fault.field.clone(),
            mimir: if is_refusal { mimir.take() } else { None },
            ..told
        });
    }
}

fn is_manifest(root: &Node) -> bool {
    let Content::Mapping(sections) = &root.content else { return false };
    ["apiVersion", "kind"].iter().all(|name| sections.iter().any(|section| &*section.key == *name))
}

fn read_tenant(document: &str, tenant: &Entry, judge: &Judge, reading: &mut Reading) {
    let Entry { key, place, value, .. } = tenant;
    let unmatched = unmatched(key);
    // Mimir takes a tenant without a map for one without an override.
    let Content::Mapping(fields) = &value.content else {
        reading.others.push((Box::from(&**key), judge.defaults.limits.clone()));
        return;
    };
    let known = TenantId::from(&**key);
    let mut limits = below_override(&judge.defaults.limits);
    let settings: Vec<_> = fields.iter().map(|field| Setting::of_entry(document, field)).collect();
    let findings = overlay(&mut limits, Some(&shortened(key)), &settings, &mut reading.expressions, Spelling::Mimirs);
    let said = findings.said;
    reading.take(findings);
    match unmatched {
        Some(message) => {
            let line = Some(place.line);
            let note = problem(Code::UnmatchedTenant, document, line, Severity::Ignored, message);
            reading.tell(Problem { tenant: Some(shortened(key)), ..note });
            reading.others.push((Box::from(&**key), limits));
        }
        None => {
            reading.drafts.insert(known, Draft { limits, said, faults: Vec::new() });
        }
    }
}
