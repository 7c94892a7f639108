//! From source documents to each tenant's limits, with everything found wrong on the way.
//!
//! What a document is shows in its shape, not in its name: Mimir's runtime configuration ([`mimir`]), or flat keys
//! `TENANT.FIELD` ([`flat`]), of which a ConfigMap may hold one in each of its keys. Mimir's are refused whole, as Mimir
//! does; flat keys are judged tenant by tenant. What follows from a fault is decided by the caller, who knows the limits
//! in force.

mod defaults;
mod entry;
mod flat;
mod mimir;

use std::collections::HashMap;
use std::rc::Rc;

pub use defaults::parse_defaults;

use crate::code::Code;
use crate::field_set::FieldSet;
use crate::model::TenantLimits;
use crate::number::{Resolved, resolve};
use crate::problem::{Problem, Problems, Severity};
use crate::relabel::Expressions;
use crate::tenant::{Tenant, TenantId};
use crate::yaml::{Content, Duplicate, Node, Tree, YamlError, parse};

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
    pub(crate) said: FieldSet,
    /// What keeps the entry from being used; the severities are the caller's to set.
    pub(crate) faults: Vec<Problem>,
}

/// What a set of documents says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) drafts: HashMap<TenantId, Draft>,
    /// Problems that are settled already.
    pub(crate) problems: Problems,
    /// Whether a document is refused, so that nothing of the set may be used.
    pub(crate) refused: bool,
    /// What is known of expressions, also of documents before.
    pub(crate) expressions: Expressions,
}

/// Reads all documents of one source together; a later one adds to an earlier one.
///
/// A document that is none of ours is passed over beside others, and refused where there is nothing else: a misspelled
/// `overrides:` would otherwise put every tenant on the defaults.
pub(crate) fn read(defaults: &TenantLimits, documents: &[SourceDocument<'_>], expressions: Expressions) -> Reading {
    let mut reading = Reading { expressions, ..Reading::default() };
    let mut flat = flat::FlatKeys::default();
    let mut strays = Vec::new();
    for document in documents {
        match shape(document, &mut reading) {
            Ok(Shape::Empty) => {}
            Ok(Shape::Mimir(tree)) => mimir::read(document.name, &tree, defaults, &mut reading),
            Ok(Shape::FlatKey(value)) => flat.add_key(document.name, document.name, None, value),
            Ok(Shape::FlatFile(tree)) => flat.add_file(document.name, &tree, &mut reading),
            Ok(Shape::Stray(error)) => strays.push((document.name, error)),
            Err(error) => reading.refuse(document.name, error),
        }
    }
    let nothing_else = strays.len() == documents.len();
    for (name, error) in strays {
        if nothing_else {
            reading.refuse(name, error);
        } else {
            let message = "is neither Mimir's runtime configuration nor a key TENANT.FIELD, and is ignored";
            reading.tell(problem(name, None, Severity::Ignored, message.to_owned()));
        }
    }
    flat.finish(defaults, &mut reading);
    reading
}

impl Reading {
    /// What a further entry of this tenant is laid over: the defaults, and what was read of it before.
    fn below(&self, key: &TenantId, defaults: &TenantLimits) -> (TenantLimits, FieldSet) {
        let before = self.drafts.get(key);
        before.map_or_else(|| (defaults.clone(), FieldSet::default()), |draft| (draft.limits.clone(), draft.said))
    }

    fn tell(&mut self, problem: Problem) {
        self.problems.tell(problem);
    }

    /// Refuses the document for a reason that concerns no one tenant.
    fn refuse(&mut self, name: &str, YamlError { line, message }: YamlError) {
        let line = (line > 0).then_some(line);
        self.tell(problem(name, line, Severity::Rejected, refusal(&message)));
        self.refused = true;
    }

    /// Takes over what an entry was found to be where one fault refuses the whole document.
    fn take(&mut self, findings: entry::Findings) {
        self.refused |= !findings.faults.is_empty();
        for fault in findings.faults {
            self.tell(Problem { message: refusal(&fault.message), ..fault });
        }
        findings.notes.into_iter().for_each(|note| self.tell(note));
    }

    /// Mimir says nothing about it, so whoever wrote it is likely to take it for being in force.
    fn tell_second_document(&mut self, name: &str, tree: &Tree) {
        if tree.second_document.is_some() {
            let message =
                "a second YAML document begins here, and is ignored, as by Mimir: move its content above the --- line";
            self.tell(problem(name, tree.second_document, Severity::Ignored, message.to_owned()));
        }
    }

    fn refuse_duplicate(&mut self, name: &str, duplicate: &Duplicate) {
        self.refuse(name, YamlError { line: duplicate.line, message: twice(duplicate) });
    }
}

/// What a document is.
enum Shape {
    Empty,
    Mimir(Tree),
    FlatFile(Tree),
    /// The document's name is the key, its text the value.
    FlatKey(Result<Option<Rc<Node>>, String>),
    /// None of ours, and why.
    Stray(YamlError),
}

/// Reads a text of acceptable size; line 0 in an error is the whole document.
pub(crate) fn parse_document(document: &SourceDocument<'_>) -> Result<Tree, YamlError> {
    let bytes = document.bytes.len();
    if bytes > MAX_DOCUMENT_BYTES {
        let message = format!("has {bytes} bytes, more than the {MAX_DOCUMENT_BYTES} that are read");
        return Err(YamlError { line: 0, message });
    }
    parse(text(document)?)
}

fn text<'t>(document: &SourceDocument<'t>) -> Result<&'t str, YamlError> {
    std::str::from_utf8(document.bytes).map_err(|_| YamlError { line: 0, message: "is not UTF-8".to_owned() })
}

fn shape(document: &SourceDocument<'_>, reading: &mut Reading) -> Result<Shape, YamlError> {
    if flat::names_known_field(document.name) {
        return Ok(Shape::FlatKey(flat::parse_value(text(document)?)));
    }
    let named_as_file = is_file_name(document.name);
    let tree = match parse_document(document) {
        Err(error) if !named_as_file => return Ok(Shape::Stray(error)),
        tree => tree?,
    };
    reading.tell_second_document(document.name, &tree);
    let Some(root) = tree.root.as_deref() else { return Ok(Shape::Empty) };
    let whole = |message: &str| YamlError { line: 0, message: message.to_owned() };
    let error = match &root.content {
        Content::Mapping(entries) if flat::is_flat(entries) => return Ok(Shape::FlatFile(tree)),
        Content::Mapping(entries) => match mimir::mismatch(entries) {
            None => return Ok(Shape::Mimir(tree)),
            Some(error) => return Ok(Shape::Stray(error)),
        },
        Content::Scalar(scalar) if resolve(scalar) == Resolved::Null => return Ok(Shape::Empty),
        Content::Scalar(_) if !named_as_file && flat::split(document.name).is_some() => {
            return Ok(Shape::FlatKey(Ok(tree.root)));
        }
        Content::Scalar(_) => whole("is a single value: write overrides: with the tenants below it"),
        Content::Sequence(_) => whole("is a list: write overrides: with the tenants below it"),
    };
    if named_as_file { Err(error) } else { Ok(Shape::Stray(error)) }
}

/// ConfigMap keys for whole files have an extension; flat keys end in a field's name.
fn is_file_name(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension))
}

/// Whether this name of a document is a flat key `TENANT.FIELD` beyond doubt: its last part is a field that Mimir has.
#[must_use]
pub fn is_flat_key(name: &str) -> bool {
    flat::names_known_field(name)
}

/// Why no header can name this key, if none can.
pub(crate) fn unmatched(key: &str) -> Option<String> {
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

pub(crate) fn twice(duplicate: &Duplicate) -> String {
    let key = crate::value::shortened(&duplicate.key);
    format!("{key} is there twice, first on line {}: remove one", duplicate.first_line)
}

pub(crate) fn refusal(message: &str) -> String {
    format!("{message}; the whole document is refused")
}

fn problem(document: &str, line: Option<u64>, severity: Severity, message: String) -> Problem {
    Problem { line, ..Problem::of_document(Code::BadValue, document, severity, message) }
}

#[cfg(test)]
mod tests;
