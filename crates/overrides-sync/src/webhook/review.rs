//! The review of a change of the ConfigMap, from its content before and after. Pure.
//!
//! A document that Mimir would reject is denied, and so is a flat key with an invalid value. Anything ignored is a warning, such as a field that another
//! version of Mimir may have. So are problems that existed before: the fix of one problem must not be blocked by another.

use std::collections::HashSet;

use limits::{Checked, Code, Defaults, MimirVersion, Problem, Severity, check};
use limits_source::{ConfigMapData, ConfigMapSpec};

/// The most reasons in a denial.
const MAX_REASONS: usize = 10;
/// The most bytes of a reason, which quotes values of the document.
const MAX_REASON_BYTES: usize = 1_024;
/// What Kubernetes shows of a warning: so many characters, here bytes to be safe.
const MAX_WARNING_BYTES: usize = 256;
/// What Kubernetes shows of all warnings of one request.
const MAX_WARNINGS_BYTES: usize = 4_096;

/// The settings of a review.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Which ConfigMap is reviewed, and which of its keys.
    pub(crate) configmap: ConfigMapSpec,
    /// The limits below every entry.
    pub(crate) defaults: Defaults,
    /// The version of Mimir, which determines the known fields.
    pub(crate) version: MimirVersion,
    /// Whether a document without tenants is applied.
    pub(crate) allow_empty: bool,
}

/// The result.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Review {
    /// Why the change is denied, if it is.
    pub(crate) denial: Option<String>,
    /// Warnings for the author of the change, denied or not; bounded as Kubernetes bounds them.
    pub(crate) warnings: Vec<String>,
}

/// Reviews a change; `old` is `None` for a new ConfigMap.
pub(crate) fn review(rules: &Rules, old: Option<&ConfigMapData>, new: &ConfigMapData) -> Review {
    if old.is_some_and(|old| old == new) {
        return Review::default();
    }
    let now = checked(rules, new);
    let is_fault = |problem: &Problem| matches!(problem.severity, Severity::Rejected | Severity::Shadowed);
    let before = match old {
        Some(old) if now.tenants == 0 || now.problems.iter().any(is_fault) => Some((old, checked(rules, old))),
        _ => None,
    };
    let known = before.as_ref().map(|(old, before)| KnownFaults::of(old, before, new)).unwrap_or_default();
    let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
    for problem in &now.problems {
        if is_fault(problem) && !known.has(problem) {
            reasons.push(problem);
        } else if is_fault(problem) {
            warnings.push(format!("existed before: {problem}"));
        } else {
            warnings.push(problem.to_string());
        }
    }
    if before.is_some_and(|(_, before)| before.tenants > 0) && now.tenants == 0 && reasons.is_empty() {
        // First, so that it is never cut off.
        warnings.insert(0, emptied(rules).to_owned());
    }
    Review { denial: denial(&reasons), warnings: bounded(&warnings) }
}

/// Checks the keys that would be read; none if that is ambiguous.
fn checked(rules: &Rules, content: &ConfigMapData) -> Checked {
    let selected = rules.configmap.select_keys(content);
    let mut checked = match selected.is_rejected() {
        true => Checked { problems: Vec::new(), tenants: 0, rejected: true, limits: Vec::new() },
        false => check(&rules.defaults, &rules.version, &selected.documents),
    };
    checked.problems.extend(selected.problems);
    checked
}

fn emptied(rules: &Rules) -> &'static str {
    if rules.allow_empty {
        "there is no tenant any more: all get the default limits"
    } else {
        "there is no tenant any more: Mimir gives all the default limits, and the edge keeps the last good ones unless it allows empty overrides"
    }
}

/// Problems that existed before.
#[derive(Default)]
struct KnownFaults<'c> {
    /// Unchanged documents, if they were rejected before. A document that was good, and is bad together with the change, is not among them.
    untouched: HashSet<&'c str>,
    /// Problems of flat keys and of the set of keys; without lines, which move with changes above them.
    reported: HashSet<(&'c str, Option<&'c str>, Option<&'c str>, &'c str)>,
}

impl<'c> KnownFaults<'c> {
    fn of(old: &'c ConfigMapData, before: &'c Checked, new: &ConfigMapData) -> Self {
        let is_untouched = |key: &&str| before.rejected && old.get(key) == new.get(key);
        let untouched = old.keys().into_iter().filter(is_untouched).collect();
        let reported = before.problems.iter().filter(|problem| is_identified_by_text(problem)).map(identity).collect();
        Self { untouched, reported }
    }

    fn has(&self, problem: &Problem) -> bool {
        let is_reported = is_identified_by_text(problem) && self.reported.contains(&identity(problem));
        is_reported || self.untouched.contains(problem.document.as_str())
    }
}

/// Whether problems with the same text are the same problem: those of flat keys and of the set of keys.
fn is_identified_by_text(problem: &Problem) -> bool {
    problem.severity == Severity::Shadowed || matches!(problem.code, Code::UnreadKey | Code::UnreadableSource)
}

fn identity(problem: &Problem) -> (&str, Option<&str>, Option<&str>, &str) {
    (&problem.document, problem.tenant.as_deref(), problem.field.as_deref(), &problem.message)
}

fn denial(reasons: &[&Problem]) -> Option<String> {
    let listed = reasons.iter().take(MAX_REASONS).map(|reason| one_line(&reason.in_full(), MAX_REASON_BYTES));
    let more = reasons.len().saturating_sub(MAX_REASONS);
    let more = (more > 0).then(|| format!("and {more} more"));
    let lines: Vec<_> = listed.chain(more).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// As many warnings as Kubernetes shows; the last one says how many more there are.
fn bounded(warnings: &[String]) -> Vec<String> {
    const ROOM_FOR_THE_LAST: usize = 64;
    let mut left = MAX_WARNINGS_BYTES - ROOM_FOR_THE_LAST;
    let mut shown = Vec::new();
    for warning in warnings {
        let warning = one_line(warning, MAX_WARNING_BYTES);
        let Some(rest) = left.checked_sub(warning.len()) else { break };
        left = rest;
        shown.push(warning);
    }
    let more = warnings.len() - shown.len();
    if more > 0 {
        shown.push(format!("and {more} more warnings"));
    }
    shown
}

/// Kubernetes drops a warning with a control character in it.
fn one_line(text: &str, bytes: usize) -> String {
    const MORE: &str = "…";
    let clean = text.replace(char::is_control, " ");
    if clean.len() <= bytes {
        return clean;
    }
    let end = clean.floor_char_boundary(bytes.saturating_sub(MORE.len()));
    format!("{}{MORE}", clean.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
