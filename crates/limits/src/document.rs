//! From source documents to each tenant's limits, with everything found wrong on the way.
//!
//! What a document is shows in its shape, not in its name: Mimir's runtime configuration ([`mimir`]), or flat keys
//! `TENANT.FIELD` ([`flat`]), of which a ConfigMap may hold one in each of its keys. Mimir's are merged, and taken or refused
//! whole, as Mimir does; flat keys are checked tenant by tenant. What follows from a fault is decided by the caller, who knows the limits
//! in force.

mod defaults;
mod entry;
mod flat;
mod mimir;

use std::collections::HashMap;
use std::rc::Rc;

use go_yaml::{Document, MAX_VALUES, Root};

pub use defaults::parse_defaults;

use crate::code::Code;
use crate::defaults::{MimirSettings, override_base};
use crate::field_set::FieldSet;
use crate::model::TenantLimits;
use crate::problem::{Problem, Problems, Severity};
use crate::relabel::ExpressionCache;
use crate::tenant::{Tenant, TenantId};
use crate::yaml::{Duplicate, Node, Tree, YamlError};

/// The largest document that is read, in bytes. Kubernetes holds 1 MiB in a ConfigMap.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// A text with the name it goes by: a file name, or a key of a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDocument<'t> {
    /// Shown in problems; a flat key `TENANT.FIELD` if the text is one field's value.
    pub name: &'t str,
    /// YAML or JSON, as the bytes that are stored; compressed where the name ends in `.gz`.
    pub bytes: &'t [u8],
}

impl<'t> SourceDocument<'t> {
    /// The bytes that go by this name.
    pub fn new(name: &'t str, bytes: &'t (impl AsRef<[u8]> + ?Sized)) -> Self {
        SourceDocument { name, bytes: bytes.as_ref() }
    }
}

/// What a tenant's settings come to.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The defaults with every readable setting over them.
    pub(crate) limits: TenantLimits,
    /// Which settings these are.
    pub(crate) overridden: FieldSet,
    /// What keeps the entry from being used; the severities are the caller's to set.
    pub(crate) faults: Vec<Problem>,
}

/// The result of loading a set of documents.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) drafts: HashMap<TenantId, Draft>,
    /// Keys of `overrides` that are no drafts: of tenants without a map, and of none that a push can be of.
    pub(crate) others: Vec<(Box<str>, TenantLimits)>,
    /// Problems that are settled already.
    pub(crate) problems: Problems,
    /// Whether a document is rejected, so that nothing of the set may be used.
    pub(crate) rejected: bool,
    /// What is known of expressions, also of documents before.
    pub(crate) expressions: ExpressionCache,
}

/// Reads all documents of one source together; a later one adds to an earlier one.
///
/// A document of neither kind is ignored if there are flat keys, and rejected if there is nothing else: a misspelled
/// `overrides:` would otherwise put every tenant on the defaults.
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
                    loaded.reject(document.name, YamlError::new(Code::TooLarge, 0, message));
                    continue;
                }
                loaded.report_second_document(document.name, parsed.second_document());
                runtime.push(parsed);
            }
            Ok(DocumentKind::FlatKey(value)) => flat.add_key(document.name, document.name, None, value),
            Ok(DocumentKind::FlatFile(tree)) => {
                loaded.report_second_document(document.name, tree.second_document);
                flat.add_file(document.name, &tree, &mut loaded);
            }
            Ok(DocumentKind::Unrecognized(error)) => unrecognized.push((document.name, error)),
            Err(error) => loaded.reject(document.name, error),
        }
    }
    if !loaded.rejected {
        mimir::read(runtime, mimir, &mut loaded);
    }
    // Files and chosen keys are all meant to be read; other keys of a ConfigMap with flat keys are not.
    let nothing_else = !documents.iter().any(|document| flat::names_known_field(document.name));
    for (name, error) in unrecognized {
        if nothing_else {
            loaded.reject(name, error);
        } else {
            let message = "is neither Mimir's runtime configuration nor a key TENANT.FIELD, and is ignored";
            loaded.report(problem(Code::UnreadKey, name, None, Severity::Ignored, message.to_owned()));
        }
    }
    flat.finish(&mimir.defaults.limits, &mut loaded);
    loaded
}

impl Loaded {
    /// What a further entry of this tenant is laid over: the defaults, and what was read of it before.
    fn below(&self, key: &TenantId, defaults: &TenantLimits) -> (TenantLimits, FieldSet) {
        let before = self.drafts.get(key);
        before.map_or_else(
            || (override_base(defaults), FieldSet::default()),
            |draft| (draft.limits.clone(), draft.overridden),
        )
    }

    fn report(&mut self, problem: Problem) {
        self.problems.report(problem);
    }

    /// Refuses the document for a reason that concerns no one tenant.
    fn reject(&mut self, name: &str, YamlError { code, line, message, mimir }: YamlError) {
        let line = (line > 0).then_some(line);
        self.report(Problem { mimir, ..problem(code, name, line, Severity::Rejected, rejection_message(&message)) });
        self.rejected = true;
    }

    /// Adds the findings of an entry, each fault of which rejects the whole document.
    fn add_findings(&mut self, findings: entry::Findings) {
        self.rejected |= !findings.faults.is_empty();
        for fault in findings.faults {
            self.report(Problem { message: rejection_message(&fault.message), ..fault });
        }
        findings.notes.into_iter().for_each(|note| self.report(note));
    }

    /// Mimir ignores it silently, so its author may believe it is in force.
    fn report_second_document(&mut self, name: &str, line: Option<u64>) {
        if line.is_some() {
            let message =
                "a second YAML document begins here, and is ignored, as by Mimir: move its content above the --- line";
            self.report(problem(Code::SecondDocument, name, line, Severity::Ignored, message.to_owned()));
        }
    }

    fn reject_duplicate(&mut self, name: &str, duplicate: &Duplicate) {
        self.reject(name, YamlError::new(Code::DuplicateKey, duplicate.line, duplicate_message(duplicate)));
    }
}

/// What a document is.
enum DocumentKind {
    /// Mimir's, with whatever may be wrong with it.
    Mimir(Document),
    FlatFile(Tree),
    /// The document's name is the key, its text the value.
    FlatKey(Result<Option<Rc<Node>>, String>),
    /// None of ours, and why.
    Unrecognized(YamlError),
}

/// Parses a text of acceptable size; line 0 in an error is the whole document.
pub(crate) fn parse_document(document: &SourceDocument<'_>) -> Result<Document, YamlError> {
    let parsed = Document::parse(document.name, document.bytes, MAX_DOCUMENT_BYTES);
    parsed.map_err(|error| go_yaml::of_source(document.name, error).into())
}

fn document_kind(document: &SourceDocument<'_>) -> Result<DocumentKind, YamlError> {
    if flat::names_known_field(document.name) {
        let text = std::str::from_utf8(document.bytes).map_err(|_| "cannot be read: its value is not UTF-8".to_owned());
        return Ok(DocumentKind::FlatKey(text.and_then(flat::parse_value)));
    }
    let named_as_file = is_file_name(document.name);
    let parsed = match parse_document(document) {
        Err(error) if !named_as_file => return Ok(DocumentKind::Unrecognized(error)),
        parsed => parsed?,
    };
    if flat::is_flat(&parsed) {
        return Ok(DocumentKind::FlatFile(parsed.decode_once()?));
    }
    if named_as_file {
        return Ok(DocumentKind::Mimir(parsed));
    }
    match parsed.root() {
        Root::Scalar if flat::split(document.name).is_some() => {
            Ok(DocumentKind::FlatKey(Ok(parsed.decode_once()?.root)))
        }
        Root::Mapping => match mimir::mismatch(&parsed) {
            Some(error) => Ok(DocumentKind::Unrecognized(error)),
            None => Ok(DocumentKind::Mimir(parsed)),
        },
        Root::Nothing => Ok(DocumentKind::Mimir(parsed)),
        Root::Scalar | Root::Sequence => {
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

/// Whether this name of a document is a flat key `TENANT.FIELD` beyond doubt: its last part is a field that Mimir has.
#[must_use]
pub fn is_flat_key(name: &str) -> bool {
    flat::names_known_field(name)
}

/// Why no header can name this key, if none can.
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

pub(crate) fn duplicate_message(duplicate: &Duplicate) -> String {
    let key = crate::value::shortened(&duplicate.key);
    format!("{key} is there twice, first on line {}: remove one", duplicate.first_line)
}

pub(crate) fn rejection_message(message: &str) -> String {
    format!("{message}; the whole document is refused")
}

fn problem(code: Code, document: &str, line: Option<u64>, severity: Severity, message: String) -> Problem {
    Problem { line, ..Problem::of_document(code, document, severity, message) }
}

#[cfg(test)]
mod tests;
