//! What keeps the ConfigMap from being read or confirmed now: told to the log when it changes, and shown as problems.

use std::time::Duration;

use limits::Origin;
use tokio::time::Instant;

use super::selector::ConfigMapSpec;
use super::{Fault, KubeConfigError};

const RESOURCE: &str = "configmaps";

/// A watch that was refused says nothing when it is let in: that it is quiet for so long, with attempts every 2 seconds, is the sign.
const WATCH_RECOVERED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Trouble {
    check: Option<Fault>,
    /// A refusal only: other failures of the watch are the check's to find.
    watch: Option<(Fault, Instant)>,
    renewal: Option<String>,
    /// The revision that the API server has, where it is older than the one in force.
    older: Option<Origin>,
}

impl Trouble {
    pub(crate) fn check_failed(&mut self, spec: &ConfigMapSpec, fault: Fault) {
        if self.check.as_ref().is_some_and(|known| known.is_like(&fault)) {
            return;
        }
        let why = explain(&fault, spec);
        tracing::warn!(configmap = %spec, "limits cannot be confirmed, the last good limits stay in force: {why}");
        self.check = Some(fault);
    }

    pub(crate) fn check_answered(&mut self, spec: &ConfigMapSpec) {
        if self.check.take().is_some() {
            tracing::info!(configmap = %spec, "the API server answers again");
        }
        self.renewal = None;
        if self.watch.as_ref().is_some_and(|(_, failed_at)| failed_at.elapsed() > WATCH_RECOVERED_AFTER) {
            tracing::info!(configmap = %spec, "the watch is no longer refused");
            self.watch = None;
        }
    }

    pub(crate) fn watch_failed(&mut self, spec: &ConfigMapSpec, fault: Fault) {
        tracing::debug!(configmap = %spec, %fault, "the watch failed and is made again");
        if !fault.is_refusal() {
            return;
        }
        let is_known = self.watch.as_ref().is_some_and(|(known, _)| known.is_like(&fault));
        // One that the check tells as well is told once.
        if !is_known && self.check.as_ref().is_none_or(|known| !known.is_like(&fault)) {
            let why = explain(&fault, spec);
            tracing::warn!(configmap = %spec, "the ConfigMap cannot be watched, changes take up to 15 s: {why}");
        }
        self.watch = Some((fault, Instant::now()));
    }

    /// What the API server has, where that is older than what is in force.
    pub(crate) fn set_older(&mut self, spec: &ConfigMapSpec, older: Option<Origin>) {
        if let (None, Some(origin)) = (&self.older, &older) {
            let why = explain_older(origin);
            tracing::warn!(configmap = %spec, "limits cannot be confirmed, the last good limits stay in force: {why}");
        }
        self.older = older;
    }

    /// What came of reading the credentials again.
    pub(crate) fn renewed(&mut self, error: Option<KubeConfigError>) {
        let error = error.map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|error| self.renewal.as_ref() != Some(error)) {
            tracing::warn!(%error, "refused credentials could not be read again; still trying");
        }
        self.renewal = error;
    }

    /// Each fault in words, once.
    pub(crate) fn explain(&self, spec: &ConfigMapSpec) -> Vec<String> {
        let watch = self.watch.as_ref().map(|(fault, _)| fault);
        let mut faults: Vec<String> = self.check.iter().chain(watch).map(|fault| explain(fault, spec)).collect();
        faults.dedup();
        faults.extend(self.older.as_ref().map(explain_older));
        faults
    }
}

fn explain(fault: &Fault, spec: &ConfigMapSpec) -> String {
    fault.explain(RESOURCE, &spec.namespace, spec.name())
}

fn explain_older(origin: &Origin) -> String {
    format!(
        "the API server has revision {}, which is older than the one in force; if etcd was restored from a backup, delete the ConfigMap and make it again",
        origin.resource_version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_revision_is_a_problem_as_long_as_it_is_there() {
        let spec = "mimir/mimir-runtime".parse().unwrap();
        let mut trouble = Trouble::default();
        let older = Origin { uid: "u".into(), resource_version: "7".into() };
        trouble.set_older(&spec, Some(older));
        let faults = trouble.explain(&spec);
        assert!(
            matches!(&faults[..], [fault] if fault.contains("revision 7") && fault.contains("delete the ConfigMap")),
            "{faults:?}"
        );
        trouble.set_older(&spec, None);
        assert!(trouble.explain(&spec).is_empty());
    }
}
