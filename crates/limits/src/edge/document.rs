//! From the text of an edge configuration to each tenant's policy, with everything found wrong on the way.

use std::collections::BTreeMap;

use super::EdgePolicy;
use crate::code::Code;
use crate::document::{SourceDocument, duplicate_message, parse_document, rejection_message, unmatched_reason};
use crate::fields;
use crate::mode::Mode;
use crate::problem::{Problem, Problems, Severity};
use crate::suggest::nearest;
use crate::tenant::{Tenant, TenantId};
use crate::value::{ValueError, mapping, no_number, scalar, shortened, wants};
use crate::yaml::{Entry, Node, Tree, YamlError};
use go_yaml::Resolved;

const TENANTS: &str = "tenants";
/// The settings of every policy.
const POLICY: [&str; 2] = ["edge_limits", "mode"];
const DOCUMENT: [&str; 3] = ["edge_limits", "mode", TENANTS];
const LIMITS: [&str; 2] = ["max_body_bytes", "max_series_per_request"];

/// What a tenant's entry comes to.
#[derive(Debug)]
pub(super) struct Draft {
    /// The defaults with every readable setting over them.
    pub(super) policy: EdgePolicy,
    /// What keeps the entry from being used; the severities are the caller's to set.
    pub(super) faults: Vec<Problem>,
}

/// The result of loading a document.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) default: EdgePolicy,
    pub(super) drafts: BTreeMap<TenantId, Draft>,
    /// Problems that are settled already.
    pub(super) problems: Problems,
    /// Whether nothing of the document may be used.
    pub(super) rejected: bool,
}

/// Reads a whole document.
pub(super) fn read(document: &SourceDocument<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    let place = Place { document: document.name, tenant: None };
    let tree = match parse_document(document).and_then(|parsed| Ok(parsed.decode_once()?)) {
        Ok(tree) => tree,
        Err(error) => {
            loaded.reject(place, error);
            return loaded;
        }
    };
    if tree.second_document.is_some() {
        let message = "a second YAML document begins here, and is ignored: move its content above the --- line";
        loaded.problems.report(place.problem(Code::SecondDocument, tree.second_document, None, message.to_owned()));
    }
    for duplicate in &tree.duplicates {
        loaded.reject(place, YamlError::new(Code::DuplicateKey, duplicate.line, duplicate_message(duplicate)));
    }
    match settings(&tree) {
        Ok(entries) => loaded.add_settings(place, entries),
        Err(error) => loaded.reject(place, error),
    }
    loaded
}

/// The document's own entries. A document that sets nothing, or nothing that is known here, is some other file or a
/// half of one, and would put everybody on enforce.
fn settings(tree: &Tree) -> Result<&[Entry], YamlError> {
    let empty = || {
        let message = "is empty: write mode: enforce if no tenant is to be treated differently";
        YamlError::new(Code::BadValue, 0, message)
    };
    let root = tree.root.as_deref().ok_or_else(empty)?;
    let at_root = |ValueError(message)| YamlError::new(Code::WrongType, root.place.line, message);
    let entries = mapping(root, "mode, edge_limits and tenants").map_err(at_root)?.ok_or_else(empty)?;
    match entries.first().filter(|_| !entries.iter().any(|entry| DOCUMENT.contains(&&*entry.key))) {
        None => Ok(entries),
        Some(first) => {
            let message = format!("field {} is unknown{}", shortened(&first.key), advice(&first.key, &DOCUMENT));
            Err(YamlError::new(Code::UnknownField, first.place.line, message))
        }
    }
}

impl Loaded {
    fn reject(&mut self, place: Place<'_>, YamlError { code, line, message, .. }: YamlError) {
        let line = (line > 0).then_some(line);
        let problem = place.problem(code, line, None, rejection_message(&message));
        self.problems.report(Problem { severity: Severity::Rejected, ..problem });
        self.rejected = true;
    }

    fn add_settings(&mut self, place: Place<'_>, entries: &[Entry]) {
        let mut findings = Findings::default();
        findings.policy(place, entries, &DOCUMENT, &mut self.default);
        let tenants = entries.iter().find(|entry| &*entry.key == TENANTS);
        let tenants = tenants.map(|entry| (entry, mapping(&entry.value, "tenants with their settings")));
        if let Some((entry, Err(error))) = &tenants {
            findings.fault(place, entry, error);
        }
        self.rejected |= !findings.faults.is_empty();
        for fault in findings.faults {
            self.problems.push_fault(fault, Severity::Rejected, "the whole document is refused");
        }
        findings.notes.into_iter().for_each(|note| self.problems.report(note));
        if let Some((_, Ok(Some(tenants)))) = tenants {
            tenants.iter().for_each(|tenant| self.add_tenant(place.document, tenant));
        }
    }

    fn add_tenant(&mut self, document: &str, entry: &Entry) {
        let shown = shortened(&entry.key);
        let place = Place { document, tenant: Some(&shown) };
        if let Some(message) = ineffective_reason(&entry.key) {
            self.problems.report(place.problem(Code::UnmatchedTenant, Some(entry.place.line), None, message));
            return;
        }
        let mut policy = self.default;
        let mut findings = Findings::default();
        match mapping(&entry.value, "mode and edge_limits") {
            Ok(settings) => findings.policy(place, settings.map_or(&[], Vec::as_slice), &POLICY, &mut policy),
            Err(ValueError(message)) => {
                let message = format!("the entry {message}");
                findings.faults.push(place.problem(Code::WrongType, Some(entry.place.line), None, message));
            }
        }
        findings.notes.into_iter().for_each(|note| self.problems.report(note));
        self.drafts.insert(TenantId::from(&*entry.key), Draft { policy, faults: findings.faults });
    }
}

/// Why this entry applies to no push, if it applies to none.
fn ineffective_reason(key: &str) -> Option<String> {
    unmatched_reason(key).or_else(|| {
        let bare = Tenant::parse(Some(key.as_bytes())).ok()?.id();
        let message = "one entry holds for all spellings of a tenant, and this one is ignored; write";
        (bare != key).then(|| format!("{message} {bare}"))
    })
}

/// Whose settings are read.
#[derive(Clone, Copy)]
struct Place<'d> {
    document: &'d str,
    tenant: Option<&'d str>,
}

impl Place<'_> {
    fn problem(self, code: Code, line: Option<u64>, field: Option<&str>, message: String) -> Problem {
        Problem {
            tenant: self.tenant.map(str::to_owned),
            field: field.map(str::to_owned),
            line,
            ..Problem::of_document(code, self.document, Severity::Ignored, message)
        }
    }
}

/// What settings were found to be.
#[derive(Default)]
struct Findings {
    /// Values that cannot be read.
    faults: Vec<Problem>,
    /// Settings that are passed over.
    notes: Vec<Problem>,
}

impl Findings {
    /// Puts the readable settings over `policy`; `known` are the names that may stand beside each other here.
    fn policy(&mut self, place: Place<'_>, entries: &[Entry], known: &[&str], policy: &mut EdgePolicy) {
        for entry in entries {
            match &*entry.key {
                "mode" => self.set(place, entry, read_mode(&entry.value), &mut policy.mode),
                "edge_limits" => match mapping(&entry.value, &LIMITS.join(" and ")) {
                    Ok(limits) => self.limits(place, limits.map_or(&[], Vec::as_slice), policy),
                    Err(error) => self.fault(place, entry, &error),
                },
                name if known.contains(&name) => {}
                _ => self.unknown(place, entry, known),
            }
        }
    }

    fn limits(&mut self, place: Place<'_>, entries: &[Entry], EdgePolicy { limits, .. }: &mut EdgePolicy) {
        for entry in entries {
            match &*entry.key {
                "max_body_bytes" => {
                    let read = read_limit(&entry.value, "a whole number of bytes, or 0 for no limit");
                    self.set(place, entry, read, &mut limits.max_body_bytes);
                }
                "max_series_per_request" => {
                    let read = read_limit(&entry.value, "a whole number of series, or 0 for no limit");
                    self.set(place, entry, read, &mut limits.max_series_per_request);
                }
                _ => self.unknown(place, entry, &LIMITS),
            }
        }
    }

    fn set<T>(&mut self, place: Place<'_>, entry: &Entry, read: Result<T, ValueError>, setting: &mut T) {
        match read {
            Ok(value) => *setting = value,
            Err(error) => self.fault(place, entry, &error),
        }
    }

    fn fault(&mut self, place: Place<'_>, entry: &Entry, ValueError(message): &ValueError) {
        let message = format!("field {} {message}", entry.key);
        self.faults.push(place.problem(Code::BadValue, Some(entry.place.line), Some(&entry.key), message));
    }

    fn unknown(&mut self, place: Place<'_>, entry: &Entry, known: &[&str]) {
        let shown = shortened(&entry.key);
        let message = format!("field {shown} is unknown here and is ignored{}", advice(&entry.key, known));
        self.notes.push(place.problem(Code::UnknownField, Some(entry.place.line), Some(&shown), message));
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
    const WANTED: &str = "enforce, shadow or off";
    match scalar(node, WANTED)? {
        Resolved::Text(text) => Mode::named(text).ok_or_else(|| wants(WANTED, Resolved::Text(text))),
        // YAML 1.1, and so Helm, reads off as a bool.
        Resolved::Bool(false) => Err(ValueError::new(
            "is false, which some tools make of off: write enforce, shadow or \"off\", with the quotes",
        )),
        other => Err(wants(WANTED, other)),
    }
}

fn read_limit(node: &Node, wanted: &str) -> Result<Option<u64>, ValueError> {
    match scalar(node, wanted)? {
        Resolved::Int(whole) => {
            let limit = u64::try_from(whole).map_err(|_| wants(wanted, Resolved::Int(whole)))?;
            Ok((limit > 0).then_some(limit))
        }
        other => Err(no_number(other, wanted)),
    }
}
