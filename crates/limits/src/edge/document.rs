//! Parses an edge configuration into each tenant's policy, and reports its problems.

use std::collections::BTreeMap;

use super::{EdgeLimits, EdgePolicy};
use crate::code::Code;
use crate::document::{SourceDocument, parse_document, unmatched_reason};
use crate::fields;
use crate::model::Mode;
use crate::problem::{Problem, Problems, Severity};
use crate::suggest::nearest;
use crate::tenant::{Tenant, TenantId};
use crate::value::{NUMBER, ValueError, as_text, mapping, mismatch, resolved, shortened};
use crate::yaml::{Entry, Node, Tree, YamlError};
use go_yaml::Resolved;

const TENANTS: &str = "tenants";
/// The settings of every policy.
const POLICY: [&str; 2] = ["edge_limits", "mode"];
const DOCUMENT: [&str; 3] = ["edge_limits", "mode", TENANTS];
const LIMITS: [&str; 2] = ["max_body_bytes", "max_series_per_request"];

/// A tenant's entry before its faults are handled.
#[derive(Debug)]
pub(super) struct Draft {
    /// The defaults with every readable setting over them.
    pub(super) policy: EdgePolicy,
    /// Why the entry cannot be used; the caller sets the severities.
    pub(super) faults: Vec<Problem>,
}

/// The result of loading a document.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) default: EdgePolicy,
    pub(super) drafts: BTreeMap<TenantId, Draft>,
    /// Problems whose severity is known.
    pub(super) problems: Problems,
}

/// Reads a whole document.
pub(super) fn read(document: &SourceDocument<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    if let Err(error) = loaded.add(document) {
        loaded.problems.reject(document.name, error);
    }
    loaded
}

/// The document's entries. A document without a known setting is another file or a truncated one, and would enforce limits
/// for all tenants: it is an error.
fn settings(tree: &Tree) -> Result<&[Entry], YamlError> {
    let empty = || {
        let message = "is empty: write mode: enforce if no tenant is to be treated differently";
        YamlError::new(Code::BadValue, 0, message)
    };
    let root = tree.root.as_deref().ok_or_else(empty)?;
    let at_root = |ValueError(message)| YamlError::new(Code::WrongType, root.position.line, message);
    let entries = mapping(root, "mode, edge_limits and tenants").map_err(at_root)?.ok_or_else(empty)?;
    match entries.first().filter(|_| !entries.iter().any(|entry| DOCUMENT.contains(&&*entry.key))) {
        None => Ok(entries),
        Some(first) => {
            let message = format!("field {} is unknown{}", shortened(&first.key), advice(&first.key, &DOCUMENT));
            Err(YamlError::new(Code::UnknownField, first.position.line, message))
        }
    }
}

impl Loaded {
    fn add(&mut self, document: &SourceDocument<'_>) -> Result<(), YamlError> {
        let tree = parse_document(document)?.tree()?;
        self.problems.report_second_document(document.name, tree.second_document);
        tree.duplicates.iter().for_each(|duplicate| self.problems.reject_duplicate(document.name, duplicate));
        let entries = settings(&tree)?;
        let mut findings = Findings::new(document.name, None);
        findings.policy(entries, &DOCUMENT, &mut self.default);
        let mut tenants = None;
        if let Some(entry) = entries.iter().find(|entry| &*entry.key == TENANTS) {
            findings.set(entry, mapping(&entry.value, "tenants with their settings"), &mut tenants);
        }
        self.problems.push_faults(findings.faults, Severity::Rejected, "the whole document is rejected");
        findings.notes.into_iter().for_each(|note| self.problems.report(note));
        tenants.unwrap_or_default().iter().for_each(|tenant| self.add_tenant(document.name, tenant));
        Ok(())
    }

    fn add_tenant(&mut self, document: &str, entry: &Entry) {
        let mut findings = Findings::new(document, Some(&entry.key));
        let line = entry.position.line;
        if let Some(message) = ineffective_reason(&entry.key) {
            return self.problems.report(findings.problem(Code::UnmatchedTenant, line, None, message));
        }
        let mut policy = self.default;
        match mapping(&entry.value, "mode and edge_limits") {
            Ok(settings) => findings.policy(settings.unwrap_or_default(), &POLICY, &mut policy),
            Err(ValueError(message)) => {
                let message = format!("the entry {message}");
                findings.faults.push(findings.problem(Code::WrongType, line, None, message));
            }
        }
        findings.notes.into_iter().for_each(|note| self.problems.report(note));
        self.drafts.insert(TenantId::from(&*entry.key), Draft { policy, faults: findings.faults });
    }
}

/// Why this entry applies to no push, if so.
fn ineffective_reason(key: &str) -> Option<String> {
    unmatched_reason(key).or_else(|| {
        let bare = Tenant::parse(Some(key.as_bytes())).ok()?.id();
        let message = "one entry holds for all spellings of a tenant, and this one is ignored; write";
        (bare != key).then(|| format!("{message} {bare}"))
    })
}

/// What was found wrong with the settings of a tenant, or of the whole document.
struct Findings<'d> {
    document: &'d str,
    tenant: Option<&'d str>,
    /// Values that cannot be read.
    faults: Vec<Problem>,
    /// Settings that are ignored.
    notes: Vec<Problem>,
}

impl<'d> Findings<'d> {
    fn new(document: &'d str, tenant: Option<&'d str>) -> Self {
        Findings { document, tenant, faults: Vec::new(), notes: Vec::new() }
    }

    fn problem(&self, code: Code, line: u64, field: Option<&str>, message: String) -> Problem {
        let (tenant, field) = (self.tenant.map(shortened), field.map(str::to_owned));
        Problem { tenant, field, ..Problem::of_document(code, self.document, Severity::Ignored, message).at(line) }
    }

    /// Puts the readable settings over `policy`; `known` are the names that are valid here.
    fn policy(&mut self, entries: &[Entry], known: &[&str], policy: &mut EdgePolicy) {
        for entry in entries {
            match &*entry.key {
                "mode" => self.set(entry, read_mode(&entry.value), &mut policy.mode),
                "edge_limits" => {
                    let mut limits = None;
                    self.set(entry, mapping(&entry.value, &LIMITS.join(" and ")), &mut limits);
                    self.limits(limits.unwrap_or_default(), &mut policy.limits);
                }
                name if known.contains(&name) => {}
                _ => self.unknown(entry, known),
            }
        }
    }

    fn limits(&mut self, entries: &[Entry], limits: &mut EdgeLimits) {
        for entry in entries {
            let (limit, unit) = match &*entry.key {
                "max_body_bytes" => (&mut limits.max_body_bytes, "bytes"),
                "max_series_per_request" => (&mut limits.max_series_per_request, "series"),
                _ => {
                    self.unknown(entry, &LIMITS);
                    continue;
                }
            };
            self.set(entry, read_limit(&entry.value, unit), limit);
        }
    }

    fn set<T>(&mut self, entry: &Entry, read: Result<T, ValueError>, setting: &mut T) {
        match read {
            Ok(value) => *setting = value,
            Err(ValueError(message)) => {
                let message = format!("field {} {message}", entry.key);
                self.faults.push(self.problem(Code::BadValue, entry.position.line, Some(&entry.key), message));
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, known: &[&str]) {
        let shown = shortened(&entry.key);
        let message = format!("field {shown} is unknown here and is ignored{}", advice(&entry.key, known));
        self.notes.push(self.problem(Code::UnknownField, entry.position.line, Some(&shown), message));
    }
}

/// What to do about a name that is none of `known`.
fn advice(name: &str, known: &[&str]) -> String {
    if LIMITS.contains(&name) {
        return "; write it below edge_limits:".to_owned();
    }
    if name == "overrides" {
        return "; this is the edge's own configuration, name Mimir's runtime configuration with --limits".to_owned();
    }
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("; did you mean {near}?");
    }
    match fields::find(name) {
        Some(fields::Known::Used { .. } | fields::Known::Unused) => "; write it into Mimir's overrides".to_owned(),
        _ => format!("; remove it, or write one of {}", known.join(", ")),
    }
}

fn read_mode(node: &Node) -> Result<Mode, ValueError> {
    // YAML 1.1, and so Helm, reads off as a bool.
    if resolved(node) == Some(Resolved::Bool(false)) {
        let message = "is false, which some tools make of off: write enforce, shadow or \"off\", with the quotes";
        return Err(ValueError::new(message));
    }
    as_text(node).and_then(Mode::named).ok_or_else(|| mismatch(node, "string", "enforce, shadow or off"))
}

fn read_limit(node: &Node, unit: &str) -> Result<Option<u64>, ValueError> {
    let limit = match resolved(node) {
        Some(Resolved::Int(whole)) => u64::try_from(whole).ok(),
        _ => None,
    };
    let wanted = || format!("a whole number of {unit}, or 0 for no limit");
    limit.map(|limit| (limit > 0).then_some(limit)).ok_or_else(|| mismatch(node, NUMBER, &wanted()))
}
