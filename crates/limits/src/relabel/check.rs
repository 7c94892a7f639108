//! Checks the rules of `metric_relabel_configs`, beyond the types of their settings: finds those for which Mimir rejects the
//! document (Prometheus `Regexp.UnmarshalYAML` in `model/relabel/relabel.go`, `LabelName.UnmarshalYAML` in its common
//! `model/labels.go`), and those that Mimir loads and the edge cannot run.

use std::collections::HashMap;
use std::sync::Arc;

use go_regexp::{MAX_COMPILED_BYTES, Pattern, PatternError};

use super::{RelabelAction, RelabelRule};
use crate::problem::Severity;
use crate::value::ValueError;

/// The most expressions that are compiled for one set of documents to learn whether they are too large. One may take a tenth of
/// a second, and documents wait for each other. The others count as small enough until they are compiled to run.
const MAX_COMPILED_PER_LOAD: usize = 4;

/// The faults of expressions, each checked once for all tenants.
#[derive(Debug, Default, Clone)]
pub(crate) struct ExpressionCache {
    faults: HashMap<Arc<str>, Option<PatternError>>,
    /// The results of compiling, including those for earlier documents.
    pub(crate) compiled: HashMap<Arc<str>, Option<PatternError>>,
    /// How many expressions of these documents were compiled.
    count: usize,
}

impl ExpressionCache {
    /// The cache for the next documents.
    pub(crate) fn next(self) -> Self {
        let faults = self.faults;
        let in_use = self.compiled.into_iter().filter(|(expression, _)| faults.contains_key(expression));
        ExpressionCache { compiled: in_use.collect(), ..ExpressionCache::default() }
    }

    fn fault(&mut self, expression: &Arc<str>) -> Option<PatternError> {
        if let Some(known) = self.faults.get(expression) {
            return *known;
        }
        let fault = match Pattern::max_compiled_bytes(expression) {
            Err(error) => Some(error),
            Ok(bytes) if bytes <= MAX_COMPILED_BYTES => None,
            Ok(_) => self.compile(expression),
        };
        self.faults.insert(Arc::clone(expression), fault);
        fault
    }

    fn compile(&mut self, expression: &Arc<str>) -> Option<PatternError> {
        if let Some(known) = self.compiled.get(expression) {
            return *known;
        }
        if self.count >= MAX_COMPILED_PER_LOAD {
            return None;
        }
        self.count += 1;
        let fault = Pattern::compile(expression).err();
        self.compiled.insert(Arc::clone(expression), fault);
        fault
    }
}

/// The first rule for which Mimir rejects the document ([`Severity::Rejected`]); if there is none, the first that the edge
/// leaves to Mimir ([`Severity::Ignored`]).
pub(crate) fn check(rules: &[RelabelRule], expressions: &mut ExpressionCache) -> Result<(), (Severity, ValueError)> {
    let mut first_left = Ok(());
    for (rule, number) in rules.iter().zip(1..) {
        let Err((severity, message)) = check_rule(rule, expressions) else { continue };
        let found = Err((severity, ValueError(format!("has rule {number} {message}"))));
        match severity {
            Severity::Ignored => first_left = first_left.and(found),
            _ => return found,
        }
    }
    first_left
}

fn check_rule(rule: &RelabelRule, expressions: &mut ExpressionCache) -> Result<(), (Severity, String)> {
    const LEFT: &str = "the edge cannot run it, and leaves the samples to Mimir";
    if rule.source_labels.iter().any(|name| name.is_empty()) {
        return Err((Severity::Rejected, "with an empty name in source_labels: remove it".to_owned()));
    }
    match expressions.fault(&rule.regex) {
        // Whether Mimir accepts it is not known.
        Some(error @ PatternError::TooLarge) => Err((Severity::Ignored, format!("whose regex {error}; {LEFT}"))),
        Some(error) => Err((Severity::Rejected, format!("whose regex {error}"))),
        None if rule.action == RelabelAction::HashMod && rule.modulus == 0 => {
            let message = format!("with the action hashmod and no modulus: set one of at least 1; {LEFT}");
            Err((Severity::Ignored, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
