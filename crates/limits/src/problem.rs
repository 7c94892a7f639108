//! What is wrong with a document, worded for the person who can mend it.

use std::collections::HashMap;
use std::fmt;

use crate::code::Code;
use crate::named::named_enum;

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

named_enum! {
    /// What a problem does to the limits in force.
    Severity {
        /// The whole document is refused; the limits before it stay for everybody.
        Rejected = "rejected",
        /// One tenant's entry cannot be used and never could: the tenant is in shadow.
        Shadowed = "shadowed",
        /// The last good limits stay: of one tenant, or of all where a document was emptied.
        Kept = "kept",
        /// A field, key or entry is passed over, or asks for relabelling that the edge leaves to Mimir; everything else of
        /// the document holds.
        Ignored = "ignored",
    }
}

/// The problems found so far, as many as are worth keeping.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) listed: Vec<Problem>,
    /// How many more there were.
    unlisted: usize,
}

impl Problems {
    /// Lists a problem while there is room; ignored ones leave room for what is worse.
    pub(crate) fn report(&mut self, problem: Problem) {
        let room = if problem.severity == Severity::Ignored { MAX_PROBLEMS } else { 2 * MAX_PROBLEMS };
        if self.listed.len() < room {
            self.listed.push(problem);
        } else {
            self.unlisted += 1;
        }
    }

    /// Counts problems that are not listed.
    pub(crate) fn add_unlisted(&mut self, count: usize) {
        self.unlisted += count;
    }

    /// Lists a problem that is one of few.
    pub(crate) fn add(&mut self, problem: Problem) {
        self.listed.push(problem);
    }

    /// Lists a fault with its severity and outcome.
    pub(crate) fn push_fault(&mut self, fault: Problem, severity: Severity, outcome: &str) {
        let message = format!("{}; {outcome}", fault.message);
        self.listed.push(Problem { severity, message, ..fault });
    }

    /// The worst [`MAX_PROBLEMS`], in the order of the named documents and their lines.
    pub(crate) fn in_order<'d>(mut self, documents: impl Iterator<Item = &'d str> + Clone) -> Vec<Problem> {
        let places: HashMap<_, _> = documents.clone().enumerate().map(|(place, name)| (name, place)).collect();
        let place = |problem: &Problem| (places.get(problem.document.as_str()).copied(), problem.line);
        self.listed.sort_by_key(place);
        let total = self.listed.len().saturating_add(self.unlisted);
        if total > MAX_PROBLEMS {
            self.listed.sort_by_key(|problem| problem.severity);
            self.listed.truncate(MAX_PROBLEMS - 1);
            self.listed.sort_by_key(place);
            let message = format!("{} more problems are not listed; mend these first", total - self.listed.len());
            let document = documents.clone().next().unwrap_or("overrides");
            self.listed.push(Problem::of_document(Code::MoreProblems, document, Severity::Ignored, message));
        }
        self.listed
    }
}
