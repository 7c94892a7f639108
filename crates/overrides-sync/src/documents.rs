//! The documents that the limits come from: which ConfigMap they are keys of, and where a field is written.

use limits::{LoadedLimits, Place as FieldPlace};
use limits_source::{LastReadName, NamespacedName};
use proto::edge::limits::v1::{LocateResponse, Place};
use tokio::sync::watch;

/// What is known about the documents; cheap to clone.
#[derive(Clone)]
pub(crate) struct Documents {
    states: watch::Receiver<LoadedLimits>,
    /// Of the ConfigMap, if they are in one.
    last_read: Option<LastReadName>,
}

impl Documents {
    pub(crate) fn new(states: watch::Receiver<LoadedLimits>, last_read: Option<LastReadName>) -> Self {
        Self { states, last_read }
    }

    /// The ConfigMap that was read last.
    pub(crate) fn configmap(&self) -> Option<NamespacedName> {
        let read = self.states.borrow().read.clone()?;
        self.last_read.as_ref()?.of(&read)
    }

    /// Where the override with exactly this key is written.
    pub(crate) fn locate(&self, key: &str) -> LocateResponse {
        let NamespacedName { namespace, name: configmap } =
            self.configmap().unwrap_or_else(|| NamespacedName { namespace: String::new(), name: String::new() });
        let place = |FieldPlace { field, document, line }: FieldPlace<'_>| Place {
            field: field.to_owned(),
            document: document.to_owned(),
            line,
        };
        let places = self.states.borrow().places.of(key).map(place).collect();
        LocateResponse { namespace, configmap, places }
    }
}
