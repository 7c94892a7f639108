//! What a ConfigMap says: its keys, and which revision of which object this is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use limits::Origin;

use super::keys::ConfigMapData;

/// One revision of the ConfigMap, without what is of no use here.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) origin: Origin,
    /// Its own name, without the namespace.
    pub(crate) name: String,
    pub(crate) data: ConfigMapData,
}

impl Content {
    /// `None` of an object that does not say which one it is; the API server serves none such.
    pub(crate) fn of(object: ConfigMap) -> Option<Self> {
        let origin = origin(&object.metadata)?;
        let binary = object.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        let data = ConfigMapData { text: object.data.unwrap_or_default(), binary };
        Some(Self { origin, name: object.metadata.name.unwrap_or_default(), data })
    }
}

/// Which revision of which object this is metadata of.
pub(crate) fn origin(metadata: &ObjectMeta) -> Option<Origin> {
    let (uid, resource_version) = (metadata.uid.as_deref()?, metadata.resource_version.as_deref()?);
    Some(Origin { uid: uid.into(), resource_version: resource_version.into() })
}

/// The newest of some objects: the one made last, by whole seconds, and of those made together the one whose name sorts last.
pub(crate) fn newest<T>(objects: Vec<T>, metadata: impl Fn(&T) -> &ObjectMeta) -> Option<T> {
    objects.into_iter().max_by_key(|object| Age::of(metadata(object)))
}

/// What orders objects that a label selects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    created: Option<Time>,
    name: String,
}

impl Age {
    fn of(metadata: &ObjectMeta) -> Self {
        Self { created: metadata.creation_timestamp.clone(), name: metadata.name.clone().unwrap_or_default() }
    }
}

/// The objects that a watch has brought, of which the newest is read. There is more than one only where a label selects them.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    by_name: BTreeMap<String, Age>,
}

impl Candidates {
    /// Takes all there are now, and gives the newest.
    pub(crate) fn list(&mut self, objects: Vec<ConfigMap>) -> Option<ConfigMap> {
        self.by_name.clear();
        for object in &objects {
            self.put(object);
        }
        newest(objects, |object| &object.metadata)
    }

    /// Takes one that is new or has changed; whether it is the newest.
    pub(crate) fn put(&mut self, object: &ConfigMap) -> bool {
        let age = Age::of(&object.metadata);
        let is_newest = self.by_name.iter().all(|(name, other)| *name == age.name || *other < age);
        self.by_name.insert(age.name.clone(), age);
        is_newest
    }

    /// Forgets one that is gone; whether there are others.
    pub(crate) fn gone(&mut self, object: &ConfigMap) -> bool {
        self.by_name.remove(object.metadata.name.as_deref().unwrap_or_default());
        !self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, created: &str) -> ConfigMap {
        let metadata = json!({ "name": name, "uid": "u", "resourceVersion": "7", "creationTimestamp": created });
        serde_json::from_value(json!({ "metadata": metadata, "data": { "a": "1" }, "binaryData": { "b": "AP8=" } }))
            .unwrap()
    }

    fn at(second: u8) -> String {
        format!("2026-04-01T00:00:{second:02}Z")
    }

    #[test]
    fn data_and_binary_data_are_taken_as_they_are() {
        let content = Content::of(object("a", &at(1))).unwrap();
        assert_eq!((content.data.get("a"), content.data.get("b")), (Some(&b"1"[..]), Some(&[0, 255][..])));
        assert_eq!((&*content.origin.uid, &*content.origin.resource_version, &*content.name), ("u", "7", "a"));
    }

    #[test]
    fn an_object_without_data_has_no_keys_and_one_without_a_revision_is_none() {
        let mut bare = object("a", &at(1));
        (bare.data, bare.binary_data) = (None, None);
        assert!(Content::of(bare.clone()).unwrap().data.keys().is_empty());
        bare.metadata.uid = None;
        assert!(Content::of(bare).is_none());
    }

    #[test]
    fn the_newest_object_is_read_and_the_next_one_once_it_is_gone() {
        let mut candidates = Candidates::default();
        let name = |object: Option<ConfigMap>| object.and_then(|object| object.metadata.name);
        assert_eq!(name(candidates.list(vec![object("z", &at(1)), object("a", &at(2))])), Some("a".to_owned()));
        assert!(!candidates.put(&object("z", &at(1))), "an older one that changes is not read");
        assert!(candidates.put(&object("a", &at(2))), "the newest one that changes is");
        assert!(candidates.put(&object("b", &at(2))), "of one second the last name");
        assert!(candidates.put(&object("c", &at(3))));
        assert!(candidates.gone(&object("c", &at(3))), "there are older ones");
        assert!(candidates.put(&object("b", &at(2))));
        for (name, others) in [("a", true), ("b", true), ("z", false)] {
            assert_eq!(candidates.gone(&object(name, &at(1))), others, "{name}");
        }
        assert_eq!(candidates.list(vec![]), None);
    }

    #[test]
    fn an_object_made_anew_under_its_name_is_the_newest_whatever_its_clock_says() {
        let mut candidates = Candidates::default();
        assert!(candidates.put(&object("a", &at(9))));
        assert!(candidates.put(&object("a", &at(1))));
    }
}
