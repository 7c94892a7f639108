//! Validates a document as Mimir's second pass does: every field with its type, and every rule over an entry.
//!
//! Mimir accepts or rejects a runtime configuration as a whole. This module finds its faults in the order in which Mimir decodes,
//! each with our message and Mimir's error. The fields are data: see [`table`].
//!
//! It checks the tree of the marshalled document (`go_yaml`): keys in order, scalars as Go formats them, merges resolved. The
//! time is linear in the document, and the size of the faults is bounded.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use go_yaml::{Node, Position};
use thiserror::Error;

use crate::code::Code;
use crate::defaults::MimirSettings;
use crate::problem::{MAX_PROBLEMS, Severity};
use crate::value::is_null;

mod go;
mod lists;
mod matchers;
mod names;
mod rules;
mod scalar;
mod table;
mod validator;

pub(crate) use go::quote as go_quote;
pub use rules::RuleSettings;
pub(crate) use rules::validate;
pub(crate) use table::limit_names;

use validator::Validator;

/// The faults that are kept, and the bytes of their texts; more are only counted.
const MAX_FAULTS: usize = 2 * MAX_PROBLEMS;
const MAX_FAULT_BYTES: usize = 8 << 20;

/// The release of Mimir that a document is meant for, such as `3.1`.
///
/// In a release that the edge knows, an unknown field rejects the document, as in Mimir. In any other release, it is ignored
/// with a warning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MimirVersion {
    major: u32,
    minor: u32,
}

impl MimirVersion {
    /// The release whose fields the edge knows.
    pub const KNOWN: MimirVersion = MimirVersion { major: 3, minor: 1 };

    /// Whether the edge knows which fields this release has.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self == Self::KNOWN
    }
}

impl Default for MimirVersion {
    fn default() -> Self {
        Self::KNOWN
    }
}

impl fmt::Display for MimirVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no release of Mimir.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no version of Mimir: write two numbers such as 3.1")]
pub struct MimirVersionError(String);

impl FromStr for MimirVersion {
    type Err = MimirVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number)
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(MimirVersion { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| MimirVersionError(text.to_owned()))
    }
}

/// Mimir's error for a fault, by when Mimir reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MimirError {
    /// One of several that yaml.v3 collects in the whole document.
    Collected(String),
    /// It aborts decoding.
    Fatal(String),
    /// It is found after decoding.
    Validation(String),
}

impl MimirError {
    /// Mimir's text.
    pub(crate) fn text(&self) -> &str {
        match self {
            MimirError::Collected(text) | MimirError::Fatal(text) | MimirError::Validation(text) => text,
        }
    }
}

/// A fault of a value or of an entry, without its position.
#[derive(Debug)]
struct Issue {
    code: Code,
    /// Completes a sentence that begins with the field's name.
    predicate: String,
    /// `None` if Mimir panics instead of rejecting it.
    mimir: Option<MimirError>,
}

/// A fault in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: Position,
    /// The key below `overrides`.
    pub(crate) tenant: Option<Rc<str>>,
    /// The field: in a tenant's entry its path there, `blocked_queries[1].pattern`; elsewhere its path in the document.
    pub(crate) field: Option<String>,
    pub(crate) code: Code,
    /// [`Severity::Rejected`] if Mimir rejects the document, [`Severity::Ignored`] if that is not known.
    pub(crate) severity: Severity,
    /// What is wrong and how to fix it; names the field.
    pub(crate) message: String,
    /// Mimir's error, if it has one.
    pub(crate) mimir: Option<MimirError>,
}

/// The result of validating a document.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// The faults in Mimir's order; at most twice [`MAX_PROBLEMS`].
    pub(crate) faults: Vec<Fault>,
    /// How many more there are.
    pub(crate) unlisted: usize,
    /// Whether Mimir rejects the document.
    pub(crate) rejected: bool,
    /// The error that aborts Mimir's decoding, also of an unlisted fault.
    end: Option<String>,
    /// The bytes of the faults' texts.
    bytes: usize,
}

impl Validation {
    fn is_full(&self) -> bool {
        self.faults.len() >= MAX_FAULTS || self.bytes >= MAX_FAULT_BYTES
    }

    fn add(&mut self, fault: Fault) {
        self.rejected |= fault.severity == Severity::Rejected;
        if let (None, Some(MimirError::Fatal(error))) = (&self.end, &fault.mimir) {
            self.end = Some(error.clone());
        }
        if self.is_full() {
            self.unlisted += 1;
        } else {
            let mimir = fault.mimir.as_ref().map_or(0, |error| error.text().len());
            self.bytes = self.bytes.saturating_add(fault.message.len()).saturating_add(mimir);
            self.faults.push(fault);
        }
    }

    /// Mimir's error, without its prefix `failed to load runtime config: load file: `. `None` if Mimir accepts the document, or
    /// panics.
    pub(crate) fn mimir_error(&self) -> Option<String> {
        if let Some(error) = &self.end {
            return Some(error.clone());
        }
        let errors = || self.faults.iter().filter_map(|fault| fault.mimir.as_ref());
        let lines = errors().filter(|error| matches!(error, MimirError::Collected(_)));
        let lines: Vec<_> = lines.map(|error| format!("\n  {}", error.text())).collect();
        if lines.is_empty() {
            return errors().next().map(|error| error.text().to_owned());
        }
        Some(format!("yaml: unmarshal errors:{}", lines.concat()))
    }
}

/// Checks a runtime configuration. A tenant's limits are laid over those of `mimir`.
pub(crate) fn check(root: Option<&Node>, mimir: &MimirSettings) -> Validation {
    let mut validator = Validator::new(mimir);
    if let Some(root) = root {
        validator.root(table::root(), root);
    }
    validator.finish()
}

/// Checks the `limits:` block of Mimir's main configuration, and returns the rule settings of `mimir` with the block over them.
pub(crate) fn check_limits(block: &Node, mimir: &MimirSettings) -> (Validation, RuleSettings) {
    let mut validator = Validator::new(mimir);
    let base = mimir.defaults.rules.clone();
    let settings = match table::limits() {
        Some(limits) if !is_null(block) => validator.limits(limits, base, block, block.position),
        _ => base,
    };
    (validator.finish(), settings)
}

#[cfg(test)]
mod tests;
