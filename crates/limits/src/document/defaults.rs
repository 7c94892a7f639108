//! The limits of tenants without an override: the `limits:` block of Mimir's main configuration.

use super::entry::{Setting, overlay};
use super::{Reading, SourceDocument, problem};
use crate::fields;
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity};
use crate::value::{ValueError, mapping};
use crate::yaml::{Entry, YamlError};

/// Reads the defaults from a `limits:` block, from a whole Mimir configuration file that has one, or from the fields of
/// such a block alone. Fields that are not named keep Mimir's built-in value; `name` is shown in problems.
///
/// # Errors
/// The problems, if the text is no YAML, a value cannot be read or a rule of Mimir's does not hold. On success the list
/// has what was passed over.
pub fn parse_defaults(name: &str, text: &str) -> Result<(TenantLimits, Vec<Problem>), Vec<Problem>> {
    let mut reading = Reading::default();
    let limits = read(SourceDocument::new(name, text), &mut reading);
    if reading.refused { Err(reading.problems.listed) } else { Ok((limits, reading.problems.listed)) }
}

fn read(document: SourceDocument<'_>, reading: &mut Reading) -> TenantLimits {
    let mut limits = TenantLimits::default();
    let tree = match super::parse_document(&document) {
        Ok(tree) => tree,
        Err(error) => {
            reading.refuse(document.name, error);
            return limits;
        }
    };
    reading.tell_second_document(document.name, &tree);
    for duplicate in &tree.duplicates {
        reading.refuse_duplicate(document.name, duplicate);
    }
    let Some(root) = tree.root else { return limits };
    match mapping(&root, "Mimir's configuration").map(|entries| entries.map(|entries| block(entries))) {
        Ok(None) => {}
        Ok(Some(Some(Ok(entries)))) => apply(document.name, entries, &mut limits, reading),
        Ok(Some(Some(Err(error)))) => reading.refuse(document.name, error),
        Ok(Some(None)) => {
            let message = "has no limits: block, and Mimir's built-in defaults hold; add one, or leave the file out";
            reading.tell(problem(document.name, None, Severity::Ignored, message.to_owned()));
        }
        Err(ValueError(message)) => reading.refuse(document.name, YamlError { line: root.line, message }),
    }
    limits
}

/// The fields of the `limits:` block, or the document's own keys if they are fields; `None` if there is neither.
fn block(entries: &[Entry]) -> Option<Result<&[Entry], YamlError>> {
    let Some(limits) = entries.iter().find(|entry| &*entry.key == "limits") else {
        let bare = entries.is_empty() || entries.iter().any(|entry| fields::find(&entry.key).is_some());
        return bare.then_some(Ok(entries));
    };
    let error = |ValueError(message)| YamlError { line: limits.line, message: format!("limits {message}") };
    let fields = mapping(&limits.value, "fields with their values").map_err(error);
    Some(fields.map(|fields| fields.map_or(&[][..], Vec::as_slice)))
}

fn apply(name: &str, entries: &[Entry], limits: &mut TenantLimits, reading: &mut Reading) {
    let settings: Vec<_> = entries.iter().map(|entry| Setting::of_entry(name, entry)).collect();
    let findings = overlay(limits, None, &settings, &mut reading.expressions);
    reading.take(findings);
}
