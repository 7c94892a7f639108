//! Which revision of the ConfigMap is in force, and what the next one does to it.

use std::sync::Arc;

use limits::{Code, ControlState, LimitsState, Origin, Problem, Severity};

use super::names::ConfigMapName;
use super::object::Content;
use crate::applied::{self, Outcome};

const MEANWHILE: &str = "the last good limits stay in force";

/// The limits, and the revision of the ConfigMap that they come from.
#[derive(Debug)]
pub(crate) struct Revisions {
    name: ConfigMapName,
    limits: LimitsState,
    /// What was last read, good or bad.
    read: Option<Arc<Origin>>,
    /// What the limits in force were read from.
    origin: Option<Arc<Origin>>,
    /// Whether what was last read is what is in force.
    accepted: bool,
    /// Whether the ConfigMap was last seen not to exist.
    missing: bool,
    document_problems: Vec<Problem>,
    faults: Vec<String>,
}

/// How a revision relates to the one last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// Of the same object, and known to be older.
    Older,
    /// Of the same object, and not known to be older.
    Newer,
    /// Of another object under the name, or nothing was read before.
    Other,
}

impl Revisions {
    pub(crate) fn new(name: ConfigMapName, limits: LimitsState) -> Self {
        Self {
            name,
            limits,
            read: None,
            origin: None,
            accepted: false,
            missing: false,
            document_problems: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &ConfigMapName {
        &self.name
    }

    pub(crate) fn read(&self) -> Option<&Arc<Origin>> {
        self.read.as_ref()
    }

    /// Whether the limits in force are those of the revision that was last read.
    pub(crate) fn is_in_force(&self) -> bool {
        self.accepted && !self.missing
    }

    pub(crate) fn relation(&self, origin: &Origin) -> Relation {
        match self.read.as_deref() {
            Some(read) if read == origin => Relation::Same,
            Some(read) if read.uid != origin.uid => Relation::Other,
            Some(read) if origin.is_older_than(read) => Relation::Older,
            Some(_) => Relation::Newer,
            None => Relation::Other,
        }
    }

    /// Applies a revision that [`Revisions::relation`] says is to be read. Takes as long as the document is.
    pub(crate) fn apply(&mut self, content: &Content) {
        let before = self.limits.current();
        let result = self.limits.apply(&content.documents());
        let mut problems = result.problems;
        problems.extend(content.problems());
        let origin = Arc::new(content.origin.clone());
        (self.accepted, self.missing) = (result.accepted, false);
        if result.accepted {
            self.origin = Some(Arc::clone(&origin));
        }
        self.read = Some(origin);
        let changed = result.snapshot.as_deref().filter(|_| result.changed);
        let outcome = Outcome { before: before.as_deref(), changed, problems: &problems };
        applied::log(&format_args!("configmap {}", self.name), &outcome);
        self.document_problems = problems;
    }

    /// Notes that there is no such ConfigMap; whether that is new.
    pub(crate) fn set_missing(&mut self, missing: bool) -> bool {
        std::mem::replace(&mut self.missing, missing) != missing
    }

    /// Notes what keeps the ConfigMap from being read; whether that is new.
    pub(crate) fn set_faults(&mut self, faults: Vec<String>) -> bool {
        let new = self.faults != faults;
        self.faults = faults;
        new
    }

    /// What to publish.
    pub(crate) fn state(&self) -> ControlState {
        let missing = self.missing.then(|| self.missing_problem());
        let faults =
            self.faults.iter().map(|fault| self.kept(&format!("the ConfigMap cannot be read: {fault}; {MEANWHILE}")));
        let problems = self.document_problems.iter().cloned().chain(missing).chain(faults).collect();
        ControlState { limits: self.limits.current(), problems, origin: self.origin.clone(), read: self.read.clone() }
    }

    fn missing_problem(&self) -> Problem {
        match self.read {
            Some(_) => self.kept(&format!("the ConfigMap was deleted; {MEANWHILE} until it is made again")),
            None => self.kept("the ConfigMap does not exist; create it, or name the one that Mimir reads"),
        }
    }

    fn kept(&self, message: &str) -> Problem {
        Problem::of_document(Code::UnreadableSource, self.name.to_string(), Severity::Kept, message)
    }
}

#[cfg(test)]
mod tests;
