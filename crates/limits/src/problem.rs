//! The problems of documents, with messages for the person who can fix them.

use std::collections::HashMap;
use std::fmt;

use crate::code::Code;
use crate::value::shortened;
use crate::yaml::{DuplicateKey, YamlError};

/// The most problems one [`crate::LimitsState::apply`] lists; a last one says how many more there were.
pub const MAX_PROBLEMS: usize = 1_000;

/// One thing found wrong in a source document.
///
/// `Display` is one line: `runtime.yaml:12: tenant team-a: field ingestion_rte is unknown and is ignored; did you mean
/// ingestion_rate?`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What kind it is.
    pub code: Code,
    /// The name of the document: a file name or a ConfigMap key.
    pub document: String,
    /// The tenant or limits key concerned, if it is about one.
    pub tenant: Option<String>,
    /// The field concerned, as the document spells it.
    pub field: Option<String>,
    /// The line in the document, counted from 1, where it is known.
    pub line: Option<u64>,
    /// Its effect on the limits in force.
    pub severity: Severity,
    /// What is wrong and how to fix it; names the field itself.
    pub message: String,
    /// Mimir's own error message, without its prefix; only if Mimir rejects the document.
    pub mimir: Option<String>,
}

impl Problem {
    /// A problem of a document as a whole: of no tenant, no field and no line.
    #[must_use]
    pub fn of_document(
        code: Code,
        document: impl Into<String>,
        severity: Severity,
        message: impl Into<String>,
    ) -> Self {
        let (document, message) = (document.into(), message.into());
        Problem { code, document, tenant: None, field: None, line: None, severity, message, mimir: None }
    }

    /// The same problem at a line; 0 is the document as a whole.
    pub(crate) fn at(self, line: impl Into<Option<u64>>) -> Self {
        Problem { line: line.into().filter(|line| *line > 0), ..self }
    }

    /// The same problem of a tenant, whose name is shortened.
    pub(crate) fn of_tenant(self, tenant: &str) -> Self {
        Problem { tenant: Some(shortened(tenant)), ..self }
    }

    /// The line of `Display` followed by Mimir's own message, if there is one, on the same line.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.mimir {
            None => self.to_string(),
            Some(mimir) => {
                let mimir: Vec<_> = mimir.lines().map(str::trim).collect();
                format!("{self}; Mimir says: {}", mimir.join(" "))
            }
        }
    }
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

crate::named_enum! {
    /// What a problem does to the limits in force.
    Severity {
        /// The whole document is rejected; the last good limits stay.
        Rejected = "rejected",
        /// One tenant's entry cannot be used, and none could before: the tenant is in shadow.
        Shadowed = "shadowed",
        /// The last good limits stay: of one tenant, or of all if a document lost all tenants.
        Kept = "kept",
        /// A field, key or entry is ignored, or has relabelling rules that the edge leaves to Mimir; the rest of the document
        /// is applied.
        Ignored = "ignored",
    }
}

/// The problems found so far, up to a cap.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) listed: Vec<Problem>,
    /// How many more there were.
    unlisted: usize,
    /// Whether a document is rejected, so that nothing of the set may be used.
    pub(crate) rejected: bool,
}

impl Problems {
    /// Lists a problem while there is room; ignored ones leave room for worse ones.
    pub(crate) fn report(&mut self, problem: Problem) {
        self.rejected |= problem.severity == Severity::Rejected;
        let room = if problem.severity == Severity::Ignored { MAX_PROBLEMS } else { 2 * MAX_PROBLEMS };
        if self.listed.len() < room {
            self.listed.push(problem);
        } else {
            self.unlisted += 1;
        }
    }

    /// Reports a problem of a document as a whole.
    pub(crate) fn ignore(&mut self, code: Code, document: &str, line: Option<u64>, message: &str) {
        self.report(Problem::of_document(code, document, Severity::Ignored, message).at(line));
    }

    /// Rejects the document for a reason that concerns no single tenant.
    pub(crate) fn reject(&mut self, document: &str, YamlError { code, line, message, mimir }: YamlError) {
        let message = rejection_message(&message);
        let problem = Problem::of_document(code, document, Severity::Rejected, message).at(line);
        self.report(Problem { mimir, ..problem });
    }

    /// Rejects a document with a duplicate key.
    pub(crate) fn reject_duplicate(&mut self, document: &str, duplicate: &DuplicateKey) {
        self.reject(document, YamlError::new(Code::DuplicateKey, duplicate.line, duplicate_message(duplicate)));
    }

    /// Reports a second YAML document. Mimir ignores it silently, so its author may believe it is in force.
    pub(crate) fn report_second_document(&mut self, document: &str, line: Option<u64>) {
        if line.is_some() {
            let message = "a second YAML document begins here, and is ignored: move its content above the --- line";
            self.ignore(Code::SecondDocument, document, line, message);
        }
    }

    /// Counts problems that are not listed.
    pub(crate) fn add_unlisted(&mut self, count: usize) {
        self.unlisted += count;
    }

    /// Lists the faults of an entry with their severity and outcome, whatever room there is.
    pub(crate) fn push_faults(&mut self, faults: Vec<Problem>, severity: Severity, outcome: &str) {
        self.rejected |= severity == Severity::Rejected && !faults.is_empty();
        for fault in faults {
            let message = format!("{}; {outcome}", fault.message);
            self.listed.push(Problem { severity, message, ..fault });
        }
    }

    /// The same for a tenant's entry that cannot be used.
    pub(crate) fn push_unusable(&mut self, faults: Vec<Problem>, has_last_good: bool, what: &str) {
        match has_last_good {
            true => self.push_faults(faults, Severity::Kept, &format!("the tenant keeps its last good {what}")),
            false => self.push_faults(faults, Severity::Shadowed, "the tenant is in shadow until this is fixed"),
        }
    }

    /// The most severe [`MAX_PROBLEMS`], in the order of the named documents and their lines.
    pub(crate) fn in_order<'d>(mut self, documents: impl Iterator<Item = &'d str> + Clone) -> Vec<Problem> {
        let positions: HashMap<_, _> = documents.clone().enumerate().map(|(position, name)| (name, position)).collect();
        let position = |problem: &Problem| (positions.get(problem.document.as_str()).copied(), problem.line);
        self.listed.sort_by_key(position);
        let total = self.listed.len().saturating_add(self.unlisted);
        if total > MAX_PROBLEMS {
            self.listed.sort_by_key(|problem| problem.severity);
            self.listed.truncate(MAX_PROBLEMS - 1);
            self.listed.sort_by_key(position);
            let message = format!("{} more problems are not listed; fix these first", total - self.listed.len());
            let document = documents.clone().next().unwrap_or("overrides");
            self.listed.push(Problem::of_document(Code::MoreProblems, document, Severity::Ignored, message));
        }
        self.listed
    }
}

pub(crate) fn duplicate_message(duplicate: &DuplicateKey) -> String {
    format!("{} is there twice, first on line {}: remove one", shortened(&duplicate.key), duplicate.first_line)
}

pub(crate) fn rejection_message(message: &str) -> String {
    format!("{message}; the whole document is rejected")
}
