//! Flat keys: `TENANT.FIELD: "VALUE"`, in one file or each as a key of a ConfigMap.
//!
//! A key is split at the last dot, or the last colon if that comes later; a tenant may contain both. The value is a text that
//! contains YAML, as a ConfigMap has only text. Each tenant is checked by its own keys alone.

use std::collections::HashMap;
use std::rc::Rc;

use go_yaml::Document;

use super::entry::{DocumentFormat, Setting, overlay, places};
use super::{Draft, Loaded, unmatched, unmatched_reason};
use crate::code::Code;
use crate::fields;
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity, duplicate_message};
use crate::tenant::TenantId;
use crate::value::{is_null, shortened};
use crate::yaml::{Content, Node, Tree, parse};

use super::mimir::is_section;

/// Splits a key into tenant and field; `None` if one of them would be empty.
pub(super) fn split(key: &str) -> Option<(&str, &str)> {
    let (tenant, field) = key.rsplit_once(['.', ':'])?;
    (!tenant.is_empty() && !field.is_empty()).then_some((tenant, field))
}

/// Whether a document's name is a flat key `TENANT.FIELD` for certain: its last part is a field of Mimir.
#[must_use]
pub fn is_flat_key(key: &str) -> bool {
    split(key).is_some_and(|(_, field)| fields::find(field).is_some())
}

/// Whether a document's keys are flat: one names a known field, or all could be flat keys and none has a mapping.
pub(super) fn is_flat(document: &Document) -> bool {
    if document.root_keys().next().is_none() || document.root_keys().any(|(key, ..)| is_section(key)) {
        return false;
    }
    document.root_keys().any(|(key, ..)| is_flat_key(key))
        || document.root_keys().all(|(key, is_mapping, _)| split(key).is_some() && !is_mapping)
}

/// Parses the text of a value; `Ok(None)` if it is empty.
pub(super) fn parse_value(text: &str) -> Result<Option<Rc<Node>>, String> {
    let tree = parse(text).map_err(|error| format!("cannot be read: its value {}", error.message))?;
    match tree.duplicates.first() {
        Some(duplicate) => Err(format!("cannot be read: {}", duplicate_message(duplicate))),
        None => Ok(tree.root),
    }
}

/// The flat keys of all documents by tenant, in their order.
#[derive(Debug, Default)]
pub(super) struct FlatKeys<'d> {
    tenants: HashMap<String, Keys<'d>>,
    order: Vec<String>,
}

#[derive(Debug, Default)]
struct Keys<'d> {
    settings: Vec<Setting<'d>>,
    faults: Vec<Problem>,
}

impl<'d> FlatKeys<'d> {
    /// Adds every key of a file whose root is a mapping.
    pub(super) fn add_file(&mut self, document: &'d str, tree: &Tree, loaded: &mut Loaded) {
        let Some(Content::Mapping(entries)) = tree.root.as_deref().map(|root| &root.content) else { return };
        for entry in entries {
            match split(&entry.key) {
                Some(_) => self.add_key(document, &entry.key, Some(entry.position.line), text_value(&entry.value)),
                None => {
                    let key = shortened(&entry.key);
                    let message = format!("key {key} is not of the form TENANT.FIELD and is ignored");
                    loaded.problems.ignore(Code::UnreadKey, document, Some(entry.position.line), &message);
                }
            }
        }
        for duplicate in &tree.duplicates {
            match split(&duplicate.key).filter(|_| duplicate.depth == 1) {
                Some((tenant, field)) => {
                    let message = duplicate_message(duplicate);
                    let fault = Problem::of_document(Code::DuplicateKey, document, Severity::Rejected, message);
                    let fault = fault.at(duplicate.line).of_tenant(tenant);
                    self.of(tenant).faults.push(Problem { field: Some(field.to_owned()), ..fault });
                }
                None => loaded.problems.reject_duplicate(document, duplicate),
            }
        }
    }

    /// Adds one key; ignores a `key` that cannot be split.
    pub(super) fn add_key(
        &mut self,
        document: &'d str,
        key: &str,
        line: Option<u64>,
        value: Result<Option<Rc<Node>>, String>,
    ) {
        let Some((tenant, field)) = split(key) else { return };
        let empty = || "is empty: write a value, or remove the key".to_owned();
        let value = value.and_then(|node| node.filter(|node| !is_null(node)).ok_or_else(empty));
        self.of(tenant).settings.push(Setting { document, line, name: field.into(), value });
    }

    fn of(&mut self, tenant: &str) -> &mut Keys<'d> {
        if !self.tenants.contains_key(tenant) {
            self.order.push(tenant.to_owned());
        }
        self.tenants.entry(tenant.to_owned()).or_default()
    }

    /// Turns the keys into drafts, laid over a Mimir document's entry of the same tenant.
    pub(super) fn finish(mut self, defaults: &TenantLimits, loaded: &mut Loaded) {
        for tenant in &self.order {
            let Some(Keys { settings, mut faults }) = self.tenants.remove(tenant) else { continue };
            if let (Some(message), Some(first)) = (unmatched_reason(tenant), settings.first()) {
                loaded.problems.report(unmatched(tenant, first.document, first.line, message));
                continue;
            }
            let key = TenantId::from(tenant.as_str());
            let (mut limits, overridden) = loaded.below(&key, defaults);
            let findings = overlay(&mut limits, Some(tenant), &settings, &mut loaded.expressions, DocumentFormat::Flat);
            findings.notes.into_iter().for_each(|note| loaded.problems.report(note));
            faults.extend(findings.faults);
            loaded.places.add(&key, &places(&settings, findings.overridden, DocumentFormat::Flat));
            let overridden = overridden.union(findings.overridden);
            loaded.drafts.insert(key, Draft { limits, overridden, faults });
        }
    }
}

/// The value of a key in a file: quoted text is parsed as YAML again, as in a ConfigMap.
fn text_value(node: &Rc<Node>) -> Result<Option<Rc<Node>>, String> {
    match &node.content {
        Content::Scalar(scalar) if !scalar.plain => parse_value(&scalar.text),
        _ => Ok(Some(Rc::clone(node))),
    }
}
