//! What a ConfigMap says: its documents, and which revision of it this is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use limits::{Code, Origin, Problem, Severity, SourceDocument};

/// The most keys of `binaryData` that get a problem of their own.
const MAX_BINARY_KEYS: usize = 20;

/// One revision of the ConfigMap, without what is of no use here.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) origin: Origin,
    data: BTreeMap<String, String>,
    binary_keys: Vec<String>,
}

impl Content {
    /// `None` of an object that does not say which one it is; the API server serves none such.
    pub(crate) fn of(object: ConfigMap) -> Option<Self> {
        let origin = origin(&object.metadata)?;
        let binary_keys = object.binary_data.unwrap_or_default().into_keys().collect();
        Some(Self { origin, data: object.data.unwrap_or_default(), binary_keys })
    }

    /// Its documents in the order of their keys, as one set.
    pub(crate) fn documents(&self) -> Vec<SourceDocument<'_>> {
        self.data.iter().map(|(name, text)| SourceDocument::new(name, text)).collect()
    }

    /// What is passed over.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let listed = self.binary_keys.iter().take(MAX_BINARY_KEYS);
        let mut problems: Vec<Problem> = listed
            .map(|key| {
                ignored(key, "binaryData is not read, as Mimir reads text; move the document to data".to_owned())
            })
            .collect();
        if let Some(first) = self.binary_keys.get(MAX_BINARY_KEYS) {
            let more = self.binary_keys.len().saturating_sub(MAX_BINARY_KEYS);
            problems.push(ignored(first, format!("{more} more keys of binaryData are not read")));
        }
        problems
    }
}

/// Which revision of which object this is metadata of.
pub(crate) fn origin(metadata: &ObjectMeta) -> Option<Origin> {
    let (uid, resource_version) = (metadata.uid.as_deref()?, metadata.resource_version.as_deref()?);
    Some(Origin { uid: uid.into(), resource_version: resource_version.into() })
}

fn ignored(key: &str, message: String) -> Problem {
    Problem::of_document(Code::UnreadKey, key, Severity::Ignored, message)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn object(data: &[(&str, &str)], binary: &[&str]) -> ConfigMap {
        let metadata =
            ObjectMeta { uid: Some("u".to_owned()), resource_version: Some("7".to_owned()), ..ObjectMeta::default() };
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let binary = binary.iter().map(|key| ((*key).to_owned(), ByteString::default())).collect();
        ConfigMap { metadata, data: Some(data), binary_data: Some(binary), ..ConfigMap::default() }
    }

    #[test]
    fn documents_come_in_the_order_of_their_keys() {
        let content = Content::of(object(&[("b", "2"), ("a", "1")], &[])).unwrap();
        let seen: Vec<_> = content.documents().iter().map(|document| (document.name, document.bytes)).collect();
        assert_eq!(seen, [("a", b"1".as_slice()), ("b", b"2")]);
        assert_eq!((&*content.origin.uid, &*content.origin.resource_version), ("u", "7"));
        assert!(content.problems().is_empty());
    }

    #[test]
    fn binary_keys_are_problems_and_bounded() {
        let content = Content::of(object(&[("a", "1")], &["x", "y"])).unwrap();
        let problems = content.problems();
        assert_eq!(problems.iter().map(|problem| problem.document.as_str()).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(
            problems[0].to_string(),
            "x: binaryData is not read, as Mimir reads text; move the document to data"
        );
        let keys: Vec<String> = (0..500).map(|key| format!("{key:03}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let problems = Content::of(object(&[], &keys)).unwrap().problems();
        assert_eq!(problems.len(), MAX_BINARY_KEYS + 1);
        assert_eq!(problems[MAX_BINARY_KEYS].message, "480 more keys of binaryData are not read");
    }

    #[test]
    fn an_object_without_data_has_no_documents_and_one_without_a_revision_is_none() {
        let mut bare = object(&[], &[]);
        (bare.data, bare.binary_data) = (None, None);
        assert!(Content::of(bare.clone()).unwrap().documents().is_empty());
        bare.metadata.uid = None;
        assert!(Content::of(bare).is_none());
    }
}
