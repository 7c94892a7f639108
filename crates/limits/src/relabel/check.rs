//! What the rules of `metric_relabel_configs` come to, beyond the types of their settings: those for which Mimir refuses the
//! document (Prometheus `Regexp.UnmarshalYAML` in `model/relabel/relabel.go`, `LabelName.UnmarshalYAML` in its common
//! `model/labels.go`), and those that Mimir loads and the edge cannot run.

use std::collections::HashMap;
use std::sync::Arc;

use go_regexp::{Pattern, PatternError};

use super::{RelabelAction, RelabelRule};
use crate::problem::Severity;
use crate::value::ValueError;

/// The expressions of the documents that are read together: each is compiled once, however many tenants have it, and only
/// what is wrong with it is kept.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    faults: HashMap<Arc<str>, Option<PatternError>>,
}

impl Expressions {
    fn fault(&mut self, expression: &Arc<str>) -> Option<PatternError> {
        if let Some(known) = self.faults.get(expression) {
            return *known;
        }
        let fault = Pattern::compile(expression).err();
        self.faults.insert(Arc::clone(expression), fault);
        fault
    }
}

/// The first rule for which Mimir refuses the document ([`Severity::Rejected`]); if there is none, the first that the edge
/// leaves to Mimir ([`Severity::Ignored`]).
pub(crate) fn check(rules: &[RelabelRule], expressions: &mut Expressions) -> Result<(), (Severity, ValueError)> {
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

fn check_rule(rule: &RelabelRule, expressions: &mut Expressions) -> Result<(), (Severity, String)> {
    const LEFT: &str = "the edge cannot run it, and leaves the samples to Mimir";
    if rule.source_labels.iter().any(|name| name.is_empty()) {
        return Err((Severity::Rejected, "with an empty name in source_labels: remove it".to_owned()));
    }
    match expressions.fault(&rule.regex) {
        // Whether Mimir takes it is not known.
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
