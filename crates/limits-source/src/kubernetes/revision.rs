//! The revision of the ConfigMap that is in force, and what the next one changes.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use limits::{Code, LimitsState, LoadedLimits, ObjectRevision, Problem, Severity};

use super::keys::ConfigMapData;
use super::names::{ConfigMapSelector, ConfigMapSpec, NamespacedName};
use crate::feed::log_limits;

const MEANWHILE: &str = "the last good limits stay in force";

/// One revision of the ConfigMap.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) origin: ObjectRevision,
    /// Its own name, without the namespace.
    name: String,
    data: ConfigMapData,
}

impl Content {
    /// `None` for an object without uid or resourceVersion, which the API server never sends.
    pub(crate) fn of(object: ConfigMap) -> Option<Self> {
        let origin = origin(&object.metadata)?;
        Some(Self { origin, name: object.metadata.name.clone().unwrap_or_default(), data: object.into() })
    }
}

/// The object's uid and resourceVersion.
pub(crate) fn origin(metadata: &ObjectMeta) -> Option<ObjectRevision> {
    let (uid, resource_version) = (metadata.uid.as_deref()?, metadata.resource_version.as_deref()?);
    Some(ObjectRevision { uid: uid.into(), resource_version: resource_version.into() })
}

/// The newest object by `creationTimestamp`; of those created in the same second, the one whose name sorts last.
pub(crate) fn newest<T>(objects: Vec<T>, metadata: impl Fn(&T) -> &ObjectMeta) -> Option<T> {
    let age = |object: &T| {
        let ObjectMeta { creation_timestamp, name, .. } = metadata(object);
        (creation_timestamp.clone(), name.clone())
    };
    objects.into_iter().max_by_key(age)
}

/// The limits, and the revision of the ConfigMap that they come from.
#[derive(Clone, Debug)]
pub(crate) struct Revisions {
    spec: ConfigMapSpec,
    limits: LimitsState,
    names: LastReadName,
    /// The revision that was read last, good or bad.
    read: Option<Arc<ObjectRevision>>,
    /// The revision of the limits in force.
    origin: Option<Arc<ObjectRevision>>,
    /// Whether the revision that was read last is in force.
    accepted: bool,
    /// Whether the ConfigMap did not exist at the last read.
    missing: bool,
    document_problems: Vec<Problem>,
    errors: Vec<String>,
}

/// How a revision relates to the one that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// The same object, and known to be older.
    Older,
    /// The same object, and not known to be older.
    Newer,
    /// Another object of the name, or nothing was read before.
    Other,
}

impl Revisions {
    pub(crate) fn new(spec: ConfigMapSpec, limits: LimitsState, names: LastReadName) -> Self {
        Self {
            spec,
            limits,
            names,
            read: None,
            origin: None,
            accepted: false,
            missing: false,
            document_problems: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn spec(&self) -> &ConfigMapSpec {
        &self.spec
    }

    /// The revision that was read last, good or bad.
    pub(crate) fn read(&self) -> Option<&Arc<ObjectRevision>> {
        self.read.as_ref()
    }

    /// Whether the limits in force are of the revision that was read last.
    pub(crate) fn is_in_force(&self) -> bool {
        self.accepted && !self.missing
    }

    pub(crate) fn relation(&self, origin: &ObjectRevision) -> Relation {
        match self.read.as_deref() {
            Some(read) if read == origin => Relation::Same,
            Some(read) if read.uid != origin.uid => Relation::Other,
            Some(read) if origin.is_older_than(read) => Relation::Older,
            Some(_) => Relation::Newer,
            None => Relation::Other,
        }
    }

    /// Applies a newer revision, or another object. A large document takes long.
    pub(crate) fn apply(&mut self, content: &Content) {
        let name = NamespacedName { namespace: self.spec.namespace.clone(), name: content.name.clone() };
        let before = self.limits.current();
        let selected = self.spec.select_keys(&content.data);
        let (mut problems, mut changed) = (Vec::new(), None);
        (self.accepted, self.missing) = (false, false);
        if !selected.is_rejected() {
            let result = self.limits.apply(&selected.documents);
            self.accepted = result.accepted;
            changed = result.snapshot.filter(|_| result.changed);
            problems = result.problems;
        }
        problems.extend(selected.problems);
        let origin = Arc::new(content.origin.clone());
        if self.accepted {
            self.origin = Some(Arc::clone(&origin));
        }
        log_limits(&format_args!("configmap {name}"), before.as_deref(), changed.as_deref(), &problems);
        self.names.set(&origin, name);
        self.read = Some(origin);
        self.document_problems = problems;
    }

    /// Sets whether the ConfigMap is missing; returns whether that changed.
    pub(crate) fn set_missing(&mut self, missing: bool) -> bool {
        std::mem::replace(&mut self.missing, missing) != missing
    }

    /// Sets the errors of reads and of the watch; returns whether they changed.
    pub(crate) fn set_errors(&mut self, errors: Vec<String>) -> bool {
        let is_new = self.errors != errors;
        self.errors = errors;
        is_new
    }

    /// The state to publish.
    pub(crate) fn state(&self) -> LoadedLimits {
        let missing = self.missing.then(|| self.missing_problem());
        let errors =
            self.errors.iter().map(|error| self.kept(&format!("the ConfigMap cannot be read: {error}; {MEANWHILE}")));
        let problems = self.document_problems.iter().cloned().chain(missing).chain(errors).collect();
        let (limits, places) = (self.limits.current(), self.limits.places());
        LoadedLimits { limits, problems, places, origin: self.origin.clone(), read: self.read.clone() }
    }

    fn missing_problem(&self) -> Problem {
        match self.read {
            Some(_) if self.spec.name().is_none() => self
                .kept(&format!("the ConfigMap was deleted or has lost the label; {MEANWHILE} until one has it again")),
            Some(_) => self.kept(&format!("the ConfigMap was deleted; {MEANWHILE} until it is recreated")),
            None => self.kept(never_there(&self.spec)),
        }
    }

    /// A problem that names the object in force, if there is one.
    fn kept(&self, message: &str) -> Problem {
        let name = self.read.as_ref().and_then(|read| self.names.of(read));
        let name = name.map_or_else(|| self.spec.to_string(), |name| name.to_string());
        Problem::of_document(Code::UnreadableSource, name, Severity::Kept, message)
    }
}

/// The problem of a ConfigMap that never existed.
pub(crate) fn never_there(spec: &ConfigMapSpec) -> &'static str {
    match &spec.selector {
        ConfigMapSelector::Name(_) => "the ConfigMap does not exist; create it, or name the one that Mimir reads",
        ConfigMapSelector::Label { .. } => {
            "no ConfigMap has the label; add it to the one that Mimir reads, or name that one"
        }
    }
}

type NamedRevision = (Arc<ObjectRevision>, NamespacedName);

/// The name of the object that was read last. With a label, the name is not known before.
#[derive(Clone, Debug, Default)]
pub struct LastReadName {
    last: Arc<Mutex<Option<NamedRevision>>>,
}

impl LastReadName {
    /// The name of the object with this revision, if it was read last. It is set before the state with that revision is published.
    #[must_use]
    pub fn of(&self, origin: &ObjectRevision) -> Option<NamespacedName> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(last, _)| last.uid == origin.uid).map(|(_, name)| name.clone())
    }

    fn set(&self, origin: &Arc<ObjectRevision>, name: NamespacedName) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(origin), name));
    }
}

#[cfg(test)]
mod tests;
