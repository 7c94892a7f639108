//! Mimir's second pass over a document: every field with its type, and every rule over the whole of an entry.
//!
//! Mimir takes a runtime configuration whole or refuses it whole. What it refuses, this module finds, in the order in which
//! Mimir decodes, with our words for the person who can mend it and with Mimir's own error beside them. Which fields there
//! are is data: [`table`] reads it.
//!
//! The tree that is looked at is the re-encoded document (`go_yaml`): keys in order, scalars as Go writes them, merges done.
//! The time is linear in the document, and what is kept of faults is bounded.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use go_yaml::{Node, Place};
use thiserror::Error;

use crate::code::Code;
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

/// How many faults are kept, and how many bytes of texts with them; more are counted.
const MAX_FAULTS: usize = 2 * MAX_PROBLEMS;
const MAX_FAULT_BYTES: usize = 8 << 20;

/// The release of Mimir that a document is meant for, such as `3.1`.
///
/// Of a release that the edge knows every field is known, and another one refuses the document as it does in Mimir. Of any
/// other release it is not known which fields it has: one that the edge does not know is passed over with a warning.
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

/// What Mimir says of a fault, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MimirError {
    /// One line of several that are found in the whole document.
    Collected(String),
    /// It ends the load at once.
    Fatal(String),
    /// It is found once the whole document is read.
    Validation(String),
}

impl MimirError {
    /// The words.
    pub(crate) fn text(&self) -> &str {
        match self {
            MimirError::Collected(text) | MimirError::Fatal(text) | MimirError::Validation(text) => text,
        }
    }
}

/// What is wrong with a value or with an entry as a whole.
#[derive(Debug)]
struct Issue {
    code: Code,
    /// Completes a sentence that begins with the field's name.
    predicate: String,
    /// Nothing where Mimir does not refuse it but ends with a panic.
    mimir: Option<MimirError>,
}

/// One thing found wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    /// The key below `overrides` that it is about.
    pub(crate) tenant: Option<Rc<str>>,
    /// The field: in a tenant's entry its path there, `blocked_queries[1].pattern`; elsewhere its path in the document.
    pub(crate) field: Option<String>,
    pub(crate) code: Code,
    /// [`Severity::Rejected`] where Mimir refuses the document, [`Severity::Ignored`] where it may or may not.
    pub(crate) severity: Severity,
    /// What is wrong and how to mend it; names the field.
    pub(crate) message: String,
    /// Mimir's own words; nothing for what Mimir does not say.
    pub(crate) mimir: Option<MimirError>,
}

/// What was found in a document.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// In the order in which Mimir comes to them; at most twice [`MAX_PROBLEMS`].
    pub(crate) faults: Vec<Fault>,
    /// How many more there are.
    pub(crate) unlisted: usize,
    /// Whether Mimir refuses the document.
    pub(crate) rejected: bool,
    /// What ends Mimir's load at once, which may be beyond the faults that are listed.
    end: Option<String>,
    /// How long the texts of the faults are.
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

    /// The error with which Mimir refuses the document, as it stands behind `failed to load runtime config: load file: `.
    /// Nothing where it is taken, and where Mimir ends with a panic.
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

/// Looks at a runtime configuration. `base` are Mimir's own limits, over which a tenant's are read; `query_store_after` is
/// Mimir's `-querier.query-store-after`, 12h unless it is set.
pub(crate) fn check(
    root: Option<&Node>,
    version: &MimirVersion,
    base: &RuleSettings,
    query_store_after: Duration,
) -> Validation {
    let mut validator = Validator::new(version, base, query_store_after);
    if let Some(root) = root {
        validator.root(table::root(), root);
    }
    validator.finish()
}

/// Looks at the `limits:` block of Mimir's main configuration, which is read over `base`, and gives what it makes of that.
pub(crate) fn check_limits(
    block: &Node,
    version: &MimirVersion,
    base: &RuleSettings,
    query_store_after: Duration,
) -> (Validation, RuleSettings) {
    let mut validator = Validator::new(version, base, query_store_after);
    let settings = match table::limits() {
        Some(limits) if !is_null(block) => validator.limits(limits, base.clone(), block, block.place),
        _ => base.clone(),
    };
    (validator.finish(), settings)
}

#[cfg(test)]
mod tests;
