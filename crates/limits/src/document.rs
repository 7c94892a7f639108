//! Parses source documents into each tenant's limits, and reports their problems.
//!
//! The shape of a document decides what it is, not its name: Mimir's runtime configuration ([`mimir`]), or flat keys
//! `TENANT.FIELD` ([`flat`]), which may also be the keys of a ConfigMap. Mimir's documents are merged, and accepted or rejected
//! as a whole, as in Mimir; flat keys are checked tenant by tenant. The caller, who knows the limits in force, handles faults.

mod defaults;
mod entry;
mod flat;
mod mimir;

use std::collections::HashMap;
use std::rc::Rc;

use go_yaml::{Document, MAX_VALUES, RootKind};

pub use defaults::parse_defaults;
pub use flat::is_flat_key;

use crate::code::Code;
use crate::defaults::{MimirSettings, override_base};
use crate::field_set::FieldSet;
use crate::model::TenantLimits;
use crate::places::PlacesBuilder;
use crate::problem::{Problem, Problems, Severity, rejection_message};
use crate::relabel::ExpressionCache;
use crate::tenant::{Tenant, TenantId};
use crate::yaml::{Node, Tree, YamlError};

/// The largest document, in bytes. A ConfigMap has at most 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// A named text: a file, or a key of a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDocument<'t> {
    /// Shown in problems; a flat key `TENANT.FIELD` if the text is one field's value.
    pub name: &'t str,
    /// YAML or JSON; gzip if the name ends in `.gz`.
    pub bytes: &'t [u8],
}

impl<'t> SourceDocument<'t> {
    /// The bytes with this name.
    pub fn new(name: &'t str, bytes: &'t (impl AsRef<[u8]> + ?Sized)) -> Self {
        SourceDocument { name, bytes: bytes.as_ref() }
    }
}

/// A tenant's entry before its faults are handled.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The defaults with every readable setting over them.
    pub(crate) limits: TenantLimits,
    /// The fields of these settings.
    pub(crate) overridden: FieldSet,
    /// Why the entry cannot be used; the caller sets the severities.
    pub(crate) faults: Vec<Problem>,
}

/// The result of loading a set of documents.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) drafts: HashMap<TenantId, Draft>,
    /// Other keys of `overrides`: tenants without a map, and keys that no push can have.
    pub(crate) others: Vec<(Box<str>, TenantLimits)>,
    /// Problems whose severity is known.
    pub(crate) problems: Problems,
    /// Results for expressions, including those of earlier documents.
    pub(crate) expressions: ExpressionCache,
    /// Where the fields of the drafts are written.
    pub(crate) places: PlacesBuilder,
}

/// Reads all documents of one source together; a later one adds to an earlier one.
///
/// A document of neither kind is ignored if there are flat keys, and rejected otherwise: a misspelled `overrides:` would give
/// all tenants the defaults.
pub(crate) fn read(mimir: &MimirSettings, documents: &[SourceDocument<'_>], expressions: ExpressionCache) -> Loaded {
    let mut loaded = Loaded { expressions, ..Loaded::default() };
    let (mut flat, mut runtime, mut unrecognized) = (flat::FlatKeys::default(), Vec::new(), Vec::new());
    let mut values = 0_usize;
    for document in documents {
        match document_kind(document) {
            Ok(DocumentKind::Mimir(parsed)) => {
                values = values.saturating_add(parsed.values());
                if values > MAX_VALUES {
                    let message = format!(
                        "brings the documents to more than {MAX_VALUES} values, which are not read: split them"
                    );
                    loaded.problems.reject(document.name, YamlError::new(Code::TooLarge, 0, message));
                    continue;
                }
                loaded.problems.report_second_document(document.name, parsed.second_document());
                runtime.push(parsed);
            }
            Ok(DocumentKind::FlatKey(value)) => flat.add_key(document.name, document.name, None, value),
            Ok(DocumentKind::FlatFile(tree)) => {
                loaded.problems.report_second_document(document.name, tree.second_document);
                flat.add_file(document.name, &tree, &mut loaded);
            }
            Ok(DocumentKind::Unrecognized(error)) => unrecognized.push((document.name, error)),
            Err(error) => loaded.problems.reject(document.name, error),
        }
    }
    if !loaded.problems.rejected {
        mimir::read(runtime, mimir, &mut loaded);
    }
    // All files and selected keys are meant to be read; other keys of a ConfigMap with flat keys are not.
    let nothing_else = !documents.iter().any(|document| flat::is_flat_key(document.name));
    for (name, error) in unrecognized {
        if nothing_else {
            loaded.problems.reject(name, error);
        } else {
            let message = "is neither Mimir's runtime configuration nor a key TENANT.FIELD, and is ignored";
            loaded.problems.ignore(Code::UnreadKey, name, None, message);
        }
    }
    flat.finish(&mimir.defaults.limits, &mut loaded);
    loaded
}

impl Loaded {
    /// What another entry of this tenant is laid over: its earlier entry, or the defaults.
    fn below(&self, key: &TenantId, defaults: &TenantLimits) -> (TenantLimits, FieldSet) {
        let before = self.drafts.get(key);
        before.map_or_else(
            || (override_base(defaults), FieldSet::default()),
            |draft| (draft.limits.clone(), draft.overridden),
        )
    }

    /// Adds the findings of an entry, each fault of which rejects the whole document.
    fn add_findings(&mut self, findings: entry::Findings) {
        for fault in findings.faults {
            self.problems.report(Problem { message: rejection_message(&fault.message), ..fault });
        }
        findings.notes.into_iter().for_each(|note| self.problems.report(note));
    }
}

/// A tenant's entry that is ignored, since no push can be of the tenant.
fn unmatched(tenant: &str, document: &str, line: Option<u64>, message: String) -> Problem {
    Problem::of_document(Code::UnmatchedTenant, document, Severity::Ignored, message).at(line).of_tenant(tenant)
}

/// The kind of a document.
enum DocumentKind {
    /// Mimir's, valid or not.
    Mimir(Document),
    FlatFile(Tree),
    /// The document's name is the key, its text the value.
    FlatKey(Result<Option<Rc<Node>>, String>),
    /// Another document, and why.
    Unrecognized(YamlError),
}

/// Parses a text of acceptable size; line 0 in an error is the whole document.
pub(crate) fn parse_document(document: &SourceDocument<'_>) -> Result<Document, YamlError> {
    let parsed = Document::parse(document.name, document.bytes, MAX_DOCUMENT_BYTES);
    parsed.map_err(|error| go_yaml::unmarshal_error(document.name, error).into())
}

fn document_kind(document: &SourceDocument<'_>) -> Result<DocumentKind, YamlError> {
    if flat::is_flat_key(document.name) {
        let text = std::str::from_utf8(document.bytes).map_err(|_| "cannot be read: its value is not UTF-8".to_owned());
        return Ok(DocumentKind::FlatKey(text.and_then(flat::parse_value)));
    }
    let named_as_file = is_file_name(document.name);
    let parsed = match parse_document(document) {
        Err(error) if !named_as_file => return Ok(DocumentKind::Unrecognized(error)),
        parsed => parsed?,
    };
    if flat::is_flat(&parsed) {
        return Ok(DocumentKind::FlatFile(parsed.tree()?));
    }
    if named_as_file {
        return Ok(DocumentKind::Mimir(parsed));
    }
    match parsed.root_kind() {
        RootKind::Scalar if flat::split(document.name).is_some() => Ok(DocumentKind::FlatKey(Ok(parsed.tree()?.root))),
        RootKind::Mapping => match mimir::mismatch(&parsed) {
            Some(error) => Ok(DocumentKind::Unrecognized(error)),
            None => Ok(DocumentKind::Mimir(parsed)),
        },
        RootKind::Null => Ok(DocumentKind::Mimir(parsed)),
        RootKind::Scalar | RootKind::Sequence => {
            let message = "is no mapping: write overrides: with the tenants below it";
            Ok(DocumentKind::Unrecognized(YamlError::new(Code::NotARuntimeConfiguration, 0, message)))
        }
    }
}

/// ConfigMap keys for whole files have an extension; flat keys end in a field's name.
fn is_file_name(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension))
}

/// Why no tenant header can have this key, if so.
pub(crate) fn unmatched_reason(key: &str) -> Option<String> {
    match Tenant::parse(Some(key.as_bytes())) {
        Ok(tenant) if tenant.limits_key() == key => None,
        Ok(tenant) => {
            Some(format!("no push is ever of this tenant, and the entry is ignored; write {}", tenant.limits_key()))
        }
        Err(_) if key.is_empty() => {
            Some("no push is ever of a tenant without a name, and the entry is ignored".to_owned())
        }
        Err(error) => Some(format!("no push is ever of this tenant, and the entry is ignored: {error}")),
    }
}

#[cfg(test)]
mod tests;
