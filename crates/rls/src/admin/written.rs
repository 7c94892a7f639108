//! Where the limits of a tenant are written: in the documents that this process reads, or in those of the overrides-sync that it is connected to.

use std::collections::BTreeMap;

use limits::{Place, TenantEntry};
use limits_source::{Located, LocatedField, NamespacedName, SourceExtras};
use serde::Serialize;

use super::Admin;

/// Where a field is written.
#[derive(Clone, Serialize)]
pub(super) struct PlaceJson {
    /// A file name, or a key of a ConfigMap.
    document: String,
    /// Null where the document is the value of one field, as a flat key of a ConfigMap.
    line: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct ConfigMapName {
    namespace: String,
    name: String,
}

impl From<NamespacedName> for ConfigMapName {
    fn from(NamespacedName { namespace, name }: NamespacedName) -> Self {
        Self { namespace, name }
    }
}

/// What is known about an override's documents.
pub(super) struct Written {
    pub(super) configmap: Option<ConfigMapName>,
    places: BTreeMap<String, PlaceJson>,
}

impl Written {
    /// Of the override with exactly this key. Waits for overrides-sync for up to a second.
    pub(super) async fn read(admin: &Admin, key: &str) -> Self {
        let Located { configmap, places } = match &admin.status.extras {
            SourceExtras::Feed(feed) => {
                // A flood of requests leaves overrides-sync alone.
                let place = admin.bounds.enter();
                if place.is_ok() { feed.locator.locate(key).await.unwrap_or_default() } else { Located::default() }
            }
            SourceExtras::ConfigMap { .. } | SourceExtras::None => located_here(admin, key),
        };
        let place = |LocatedField { field, document, line }| (field, PlaceJson { document, line });
        Self { configmap: configmap.map(ConfigMapName::from), places: places.into_iter().map(place).collect() }
    }

    /// Each field that an entry sets itself, with its place if that is known. The places may be those of a document that is not in force yet.
    pub(super) fn places_of(&self, entry: &TenantEntry) -> BTreeMap<&'static str, Option<PlaceJson>> {
        entry.overridden.names().map(|field| (field, self.places.get(field).cloned())).collect()
    }
}

fn located_here(admin: &Admin, key: &str) -> Located {
    let places = admin.limits.borrow().places.clone();
    let field = |Place { field, document, line }: Place<'_>| LocatedField {
        field: field.to_owned(),
        document: document.to_owned(),
        line,
    };
    Located { configmap: configmap(admin), places: places.of(key).map(field).collect() }
}

/// The ConfigMap that this process reads.
pub(super) fn configmap(admin: &Admin) -> Option<NamespacedName> {
    let SourceExtras::ConfigMap { last_read, .. } = &admin.status.extras else { return None };
    let read = admin.limits.borrow().read.clone()?;
    last_read.of(&read)
}
