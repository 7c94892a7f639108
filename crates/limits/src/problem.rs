//! What is wrong with a document, worded for the person who can mend it.

use std::fmt;

/// The most problems one [`crate::LimitsState::apply`] lists; a last one says how many more there were.
pub const MAX_PROBLEMS: usize = 1_000;

/// One thing found wrong in a source document.
///
/// `Display` is one line: `runtime.yaml:12: tenant team-a: field ingestion_rte is unknown and is ignored; did you mean
/// ingestion_rate?`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The name the document was handed in with: a file name or a ConfigMap key.
    pub document: String,
    /// The tenant or limits key concerned, if it is about one.
    pub tenant: Option<String>,
    /// The field concerned, as the document spells it.
    pub field: Option<String>,
    /// The line in the document, counted from 1, where it is known.
    pub line: Option<u64>,
    /// What was done about it.
    pub severity: Severity,
    /// What is wrong and how to mend it; names the field itself.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.document)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        match self.tenant.as_deref() {
            None => {}
            Some("") => formatter.write_str(": tenant \"\"")?,
            Some(tenant) => write!(formatter, ": tenant {tenant}")?,
        }
        write!(formatter, ": {}", self.message)
    }
}

/// What a problem does to the limits in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The whole document is refused; the limits before it stay for everybody.
    Rejected,
    /// One tenant's entry cannot be used and never could: the tenant is in shadow.
    Shadowed,
    /// The last good limits stay: of one tenant, or of all where a document was emptied.
    Kept,
    /// A field, key or entry is passed over; everything else of the document holds.
    Ignored,
}

impl Severity {
    /// A snake_case word for a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Rejected => "rejected",
            Severity::Shadowed => "shadowed",
            Severity::Kept => "kept",
            Severity::Ignored => "ignored",
        }
    }
}
