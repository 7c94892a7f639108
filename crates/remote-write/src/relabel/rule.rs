//! One rule of `metric_relabel_configs` (Prometheus `model/relabel/relabel.go`).

use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;

use go_regexp::{Pattern, PatternError, Template};
use limits::{NameScheme, RelabelAction, RelabelRule};

use super::labels::{LabelSet, Scratch};
use super::{MAX_WRITTEN_BYTES, RelabelError, letter_case};
use crate::validation::is_label_name;

/// The fixed cost of a search with groups, in runs.
const WEIGHT_OF_GROUPS: usize = 3;

/// The cost of a matched byte, in thousandths of a run: 1.5 ns for a search without groups, 40 ns with groups.
const BYTE: usize = 3;
const BYTE_WITH_GROUPS: usize = 83;

/// The fixed cost of renaming a label, in bytes of its name.
const BYTES_OF_A_RENAMING: usize = 12;

/// The cost of a byte for each NFA thread of the search. The lazy DFA of a search without groups covers a few of them.
const BRANCH: usize = 8;
const BRANCH_WITH_GROUPS: usize = 16;
const BRANCHES_IN_TABLES: usize = 8;

/// A rule, ready to run.
#[derive(Debug)]
pub(super) struct Rule {
    sources: Vec<Box<str>>,
    separator: Box<str>,
    target: Box<str>,
    pattern: Arc<Pattern>,
    action: Action,
    /// The cost of a matched byte, in thousandths of a run, and the same without groups.
    cost_of_byte: usize,
    search_cost_of_byte: usize,
}

#[derive(Debug)]
enum Action {
    Replace(Replace),
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod(NonZeroU64),
    Lowercase,
    Uppercase,
    LabelMap(Template),
    LabelDrop,
    LabelKeep,
}

#[derive(Debug)]
struct Replace {
    target: Template,
    replacement: Template,
    needs_groups: bool,
    scheme: NameScheme,
}

impl Rule {
    /// The rule; `number` is its position in the list, from 1. `None` if `pattern` returns `None`.
    pub(super) fn compile(
        rule: &RelabelRule,
        number: usize,
        scheme: NameScheme,
        pattern: &mut impl FnMut(&Arc<str>) -> Option<Result<Arc<Pattern>, PatternError>>,
    ) -> Option<Result<Self, RelabelError>> {
        if rule.source_labels.iter().any(|name| name.is_empty()) {
            return Some(Err(RelabelError::EmptySourceLabel { rule: number }));
        }
        let pattern = pattern(&rule.regex)?.map_err(|error| RelabelError::Regex { rule: number, error });
        Some(pattern.and_then(|pattern| Self::with_pattern(rule, number, scheme, pattern)))
    }

    fn with_pattern(
        rule: &RelabelRule,
        number: usize,
        scheme: NameScheme,
        pattern: Arc<Pattern>,
    ) -> Result<Self, RelabelError> {
        let replacement = Template::compile(&rule.replacement, &pattern);
        let action = match rule.action {
            RelabelAction::Replace => Action::Replace(Replace::new(rule, replacement, &pattern, scheme)),
            RelabelAction::Keep => Action::Keep,
            RelabelAction::Drop => Action::Drop,
            RelabelAction::KeepEqual => Action::KeepEqual,
            RelabelAction::DropEqual => Action::DropEqual,
            RelabelAction::HashMod => {
                Action::HashMod(NonZeroU64::new(rule.modulus).ok_or(RelabelError::ZeroModulus { rule: number })?)
            }
            RelabelAction::Lowercase => Action::Lowercase,
            RelabelAction::Uppercase => Action::Uppercase,
            RelabelAction::LabelMap => Action::LabelMap(replacement),
            RelabelAction::LabelDrop => Action::LabelDrop,
            RelabelAction::LabelKeep => Action::LabelKeep,
        };
        let search_cost_of_byte = action.search_cost_of_byte(&pattern);
        let cost_of_byte = action.cost_of_byte(&pattern);
        Ok(Rule {
            sources: rule.source_labels.iter().map(|name| (&**name).into()).collect(),
            separator: (&*rule.separator).into(),
            target: (&*rule.target_label).into(),
            pattern,
            action,
            cost_of_byte,
            search_cost_of_byte,
        })
    }

    /// Whether it may read or write a label of this name.
    pub(super) fn may_touch(&self, name: &str) -> bool {
        let all = matches!(self.action, Action::LabelMap(_) | Action::LabelDrop | Action::LabelKeep);
        all || self.sources.iter().any(|source| **source == *name) || self.target.contains('$') || *self.target == *name
    }

    /// Whether it uses groups of its expression, which take many times as long as a mere match.
    pub(super) fn finds_groups(&self) -> bool {
        self.action.finds_groups(&self.pattern)
    }

    /// The cost of a run without labels, relative to most rules.
    pub(super) fn weight(&self) -> usize {
        if self.finds_groups() { WEIGHT_OF_GROUPS } else { 1 }
    }

    /// The cost of matching these labels, or the joined values of its source labels, in thousandths of a run.
    fn cost(&self, labels: &LabelSet, value: &[u8]) -> usize {
        if matches!(self.action, Action::LabelMap(_) | Action::LabelDrop | Action::LabelKeep) {
            let names = labels.iter().map(|(name, _)| bytes_as_text(name));
            return names.sum::<usize>().saturating_mul(self.search_cost_of_byte);
        }
        // A search with groups costs something even on an empty text.
        let looks_at = bytes_as_text(value).saturating_add(usize::from(self.finds_groups()));
        looks_at.saturating_mul(self.cost_of_byte)
    }

    /// The cost of renaming a label whose name matches.
    fn renaming_cost(&self, name: &[u8]) -> usize {
        bytes_as_text(name).saturating_add(BYTES_OF_A_RENAMING).saturating_mul(self.cost_of_byte)
    }

    /// Runs the rule. False: it drops the series, or exceeds the budget `cost`, which leaves the labels out of bounds.
    ///
    /// `number` is its position in the list, from 0: the last match of each rule is in `scratch`.
    ///
    /// Precondition: names are unique, and no value is empty.
    pub(super) fn apply(&self, number: usize, labels: &mut LabelSet, scratch: &mut Scratch, cost: &mut usize) -> bool {
        self.join_sources(labels, &mut scratch.value);
        if scratch.value.len() > MAX_WRITTEN_BYTES {
            // A label with such a long value occurs twice in the sources.
            return labels.may_write(scratch.value.len());
        }
        if !pay(cost, self.cost(labels, &scratch.value)) {
            return labels.may_write(usize::MAX);
        }
        let Scratch { value, result, target, matches } = scratch;
        result.clear();
        match &self.action {
            Action::Keep => return matches.of(number).is_match(value, || self.pattern.is_match(value)),
            Action::Drop => return !matches.of(number).is_match(value, || self.pattern.is_match(value)),
            Action::KeepEqual => return self.equals_target(labels, value),
            Action::DropEqual => return !self.equals_target(labels, value),
            Action::Replace(replace) => {
                let last = matches.of(number);
                if let Some(written) = last.written(value) {
                    written.into_iter().for_each(|(target, result)| labels.set(target, result));
                    return true;
                }
                target.clear();
                let found = replace.run(&self.pattern, value, target, result);
                last.set(value, found, target, result);
                if found {
                    labels.set(target, result);
                } else if target.len() > MAX_WRITTEN_BYTES {
                    // The name is truncated, so that it is not known whether it is legal.
                    return labels.may_write(target.len());
                }
                return true;
            }
            Action::HashMod(modulus) => write_hash(value, *modulus, result),
            Action::Lowercase => letter_case::lower(value, result),
            Action::Uppercase => letter_case::upper(value, result),
            Action::LabelMap(name) => {
                return self.map_names(name, labels, result, cost) || labels.may_write(usize::MAX);
            }
            Action::LabelDrop => {
                labels.retain(|name| !self.pattern.is_match(name));
                return true;
            }
            Action::LabelKeep => {
                labels.retain(|name| self.pattern.is_match(name));
                return true;
            }
        }
        labels.set(self.target.as_bytes(), result);
        true
    }

    /// Copies the labels with matching names to the names that `name` makes of theirs; `false` if that costs more than is left.
    fn map_names(&self, name: &Template, labels: &mut LabelSet, result: &mut Vec<u8>, cost: &mut usize) -> bool {
        let mut is_paid = true;
        labels.map_names(result, |own, renamed| {
            if !is_paid || !self.pattern.is_match(own) {
                return false;
            }
            is_paid = pay(cost, self.renaming_cost(own));
            if is_paid {
                self.pattern.replace_all(own, name, renamed);
            }
            is_paid
        });
        is_paid
    }

    fn join_sources(&self, labels: &LabelSet, value: &mut Vec<u8>) {
        value.clear();
        for (index, name) in self.sources.iter().enumerate() {
            if index > 0 {
                value.extend_from_slice(self.separator.as_bytes());
            }
            value.extend_from_slice(labels.get(name.as_bytes()).unwrap_or_default());
            if value.len() > MAX_WRITTEN_BYTES {
                break;
            }
        }
    }

    fn equals_target(&self, labels: &LabelSet, value: &[u8]) -> bool {
        labels.get(self.target.as_bytes()).unwrap_or_default() == value
    }
}

impl Action {
    fn finds_groups(&self, pattern: &Pattern) -> bool {
        let needs_groups = match self {
            Action::Replace(replace) => replace.needs_groups,
            Action::LabelMap(_) => true,
            _ => false,
        };
        needs_groups && !pattern.is_default()
    }

    fn cost_of_byte(&self, pattern: &Pattern) -> usize {
        if self.finds_groups(pattern) {
            BYTE_WITH_GROUPS.max(pattern.branches().saturating_mul(BRANCH_WITH_GROUPS))
        } else {
            self.search_cost_of_byte(pattern)
        }
    }

    fn search_cost_of_byte(&self, pattern: &Pattern) -> usize {
        match self {
            Action::KeepEqual | Action::DropEqual | Action::HashMod(_) | Action::Lowercase | Action::Uppercase => BYTE,
            _ => pattern.branches().saturating_sub(BRANCHES_IN_TABLES).saturating_mul(BRANCH).saturating_add(BYTE),
        }
    }
}

impl Replace {
    fn new(rule: &RelabelRule, replacement: Template, pattern: &Pattern, scheme: NameScheme) -> Self {
        let target = Template::compile(&rule.target_label, pattern);
        let needs_groups = target.needs_groups() || replacement.needs_groups();
        Replace { target, replacement, needs_groups, scheme }
    }

    /// Expands the label and its value; false if there is no match, or no legal name.
    fn run(&self, pattern: &Pattern, value: &[u8], target: &mut Vec<u8>, result: &mut Vec<u8>) -> bool {
        if value.is_empty() && pattern.is_default() {
            // Prometheus has a shortcut for rules without `regex`, which does not validate the target's name. A rule with
            // `(.*)` is not distinguished from them here.
            if let (Some(name), Some(replacement)) = (self.target.plain(), self.replacement.plain()) {
                target.extend_from_slice(name.as_bytes());
                result.extend_from_slice(replacement.as_bytes());
                return true;
            }
        }
        let found = pattern.first_match(value, self.needs_groups, |groups| {
            self.target.expand(groups, target);
            self.replacement.expand(groups, result);
        });
        found.is_some() && is_label_name(self.scheme, target)
    }
}

/// Takes a cost from the budget; false if it is exceeded.
fn pay(left: &mut usize, cost: usize) -> bool {
    let rest = left.checked_sub(cost);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// How long a value is once it is text: each byte that is none becomes three.
fn bytes_as_text(value: &[u8]) -> usize {
    if std::str::from_utf8(value).is_ok() { value.len() } else { value.len().saturating_mul(3) }
}

/// The last eight bytes of the MD5 hash, modulo `modulus`, in decimal.
fn write_hash(value: &[u8], modulus: NonZeroU64, result: &mut Vec<u8>) {
    let hash = u128::from_be_bytes(md5::compute(value).0);
    // The last eight bytes are the lower half of the number.
    let last = (hash & u128::from(u64::MAX)) % u128::from(modulus.get());
    // Writing into a vector does not fail.
    let _ = write!(result, "{last}");
}
