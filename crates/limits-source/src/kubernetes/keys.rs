//! Which keys of a ConfigMap are read: those in `--limits`, or the one that Mimir mounts and all flat keys `TENANT.FIELD`.
//!
//! Mimir reads the one file that its charts mount and no other key, so a second document in the ConfigMap must not become part of the limits. Pure:
//! the watch and the webhook share it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use limits::{Code, Problem, Severity, SourceDocument, is_flat_key};
use serde::Deserialize;

/// The keys that Mimir mounts: the chart mimir-distributed writes its `runtimeConfig` to `runtime.yaml` and mounts it as
/// `/var/mimir/runtime.yaml` (`templates/runtime-configmap.yaml`), Mimir's jsonnet writes `overrides.yaml` and mounts it as
/// `/etc/mimir/overrides.yaml` (`operations/mimir/config.libsonnet`). Neither makes both.
const MOUNTED: [&str; 2] = ["runtime.yaml", "overrides.yaml"];

/// The extensions of documents. Mimir reads JSON as YAML, and decompresses by extension.
const EXTENSIONS: [&str; 6] = [".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz"];

/// The document of problems with the set of keys: the ConfigMap's field with the keys.
const DATA: &str = "data";

/// The most keys that get a problem each, or are listed in one.
const MAX_LISTED: usize = 20;

/// The data of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMapData {
    /// Its `data`.
    pub text: BTreeMap<String, String>,
    /// Its `binaryData`, decoded from base64. Kubernetes allows no key in both.
    pub binary: BTreeMap<String, Vec<u8>>,
}

/// The keys of a ConfigMap that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedKeys<'d> {
    /// The documents, in the order in which they are merged.
    pub documents: Vec<SourceDocument<'d>>,
    /// Keys that are not read. If one is [`Severity::Rejected`], nothing of the ConfigMap may be applied.
    pub problems: Vec<Problem>,
}

impl SelectedKeys<'_> {
    /// Whether nothing of the ConfigMap may be applied.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Rejected)
    }
}

impl From<ConfigMap> for ConfigMapData {
    fn from(ConfigMap { data, binary_data, .. }: ConfigMap) -> Self {
        let binary = binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        Self { text: data.unwrap_or_default(), binary }
    }
}

impl ConfigMapData {
    /// The data of the ConfigMap that kubectl prints as JSON, or of the newest one of a list.
    ///
    /// # Errors
    /// It is no ConfigMap, or the list is empty.
    pub fn from_json(object: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<ConfigMap>,
        }
        let newest = |list: List| {
            let maps = list.items.into_iter();
            maps.max_by_key(|map| map.metadata.creation_timestamp.as_ref().map(|created| created.0))
        };
        match serde_json::from_slice::<List>(object) {
            Ok(list) => newest(list).map(Self::from).ok_or_else(|| "no ConfigMap has this label".to_owned()),
            Err(_) => serde_json::from_slice::<ConfigMap>(object).map(Self::from).map_err(|error| error.to_string()),
        }
    }

    /// The value of a key, from `data` or `binaryData`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.text.get(key).map(String::as_bytes).or_else(|| self.binary.get(key).map(Vec::as_slice))
    }

    /// Every key, in alphabetical order.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<_> = self.text.keys().chain(self.binary.keys()).map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }
}

/// Selects the `chosen` keys in their order, all of which must exist. Without any: the one that Mimir mounts, or the only document, and all flat keys.
/// `source` is the ConfigMap as in `--limits`, without keys.
pub(super) fn select<'d>(source: &str, chosen: &[String], data: &'d ConfigMapData) -> SelectedKeys<'d> {
    if chosen.is_empty() { select_mounted(source, data) } else { select_chosen(chosen, data) }
}

fn select_chosen<'d>(chosen: &[String], data: &'d ConfigMapData) -> SelectedKeys<'d> {
    let keys = data.keys();
    let (read, others): (Vec<&str>, Vec<&str>) =
        keys.iter().copied().partition(|key| chosen.iter().any(|name| name == key));
    let missing = chosen.iter().filter(|name| !read.contains(&name.as_str())).map(|name| {
        let message = format!(
            "there is no such key, and nothing is read while --limits names it; the keys are {}",
            listed(&keys)
        );
        Problem::of_document(Code::UnreadableSource, name, Severity::Rejected, message)
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return SelectedKeys { documents: Vec::new(), problems: missing };
    }
    let in_order = chosen.iter().filter_map(|name| read.iter().copied().find(|key| key == name));
    SelectedKeys { documents: documents(data, in_order), problems: unread(&others, "--limits does not name this key") }
}

fn select_mounted<'d>(source: &str, data: &'d ConfigMapData) -> SelectedKeys<'d> {
    let keys = data.keys();
    let (flat, others): (Vec<&str>, Vec<&str>) = keys.iter().copied().partition(|key| is_flat(key, data));
    let Ok(document) = document_of(&others) else {
        let message = format!(
            "several keys can be the runtime configuration ({}), and none of them is read; say which one Mimir reads: \
             --limits kube:{source}/KEY, or KEY,KEY for several that Mimir merges from left to right",
            listed(&others)
        );
        let problem = Problem::of_document(Code::UnreadKey, DATA, Severity::Rejected, message);
        return SelectedKeys { documents: Vec::new(), problems: vec![problem] };
    };
    let unread_keys: Vec<&str> = others.into_iter().filter(|key| Some(*key) != document).collect();
    let why = match document {
        Some(document) => format!("{document} is the key that is read; --limits kube:{source}/KEY names another"),
        None => String::new(),
    };
    SelectedKeys { documents: documents(data, document.into_iter().chain(flat)), problems: unread(&unread_keys, &why) }
}

/// The document among the keys that are not flat; `Err` if that is ambiguous.
fn document_of<'k>(keys: &[&'k str]) -> Result<Option<&'k str>, ()> {
    let among = |is_one: fn(&str) -> bool| keys.iter().copied().filter(move |key| is_one(key)).collect::<Vec<_>>();
    let mounted = among(|key| MOUNTED.contains(&key));
    let files = among(|key| EXTENSIONS.iter().any(|extension| key.ends_with(extension)));
    let candidates = [mounted, files, keys.to_vec()].into_iter().find(|keys| !keys.is_empty()).unwrap_or_default();
    match candidates.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(()),
    }
}

/// Whether a key is `TENANT.FIELD`: with a known field, or with a value that is no document, which is then a problem of the key.
fn is_flat(key: &str, data: &ConfigMapData) -> bool {
    let is_split = || key.split_once('.').is_some_and(|(tenant, field)| !tenant.is_empty() && !field.is_empty());
    let is_scalar = |text: &String| !text.trim_end().contains(['\n', ':', '{']);
    let is_file = || EXTENSIONS.iter().any(|extension| key.ends_with(extension));
    is_flat_key(key) || (is_split() && !is_file() && data.text.get(key).is_some_and(is_scalar))
}

fn documents<'d>(data: &'d ConfigMapData, keys: impl Iterator<Item = &'d str>) -> Vec<SourceDocument<'d>> {
    keys.filter_map(|key| data.get(key).map(|bytes| SourceDocument::new(key, bytes))).collect()
}

fn unread(keys: &[&str], why: &str) -> Vec<Problem> {
    let ignored = |key: &str, message| Problem::of_document(Code::UnreadKey, key, Severity::Ignored, message);
    let mut problems: Vec<_> =
        keys.iter().take(MAX_LISTED).map(|key| ignored(key, format!("is not read: {why}"))).collect();
    if let Some(first) = keys.get(MAX_LISTED) {
        problems.push(ignored(first, format!("{} more keys are not read", keys.len().saturating_sub(MAX_LISTED))));
    }
    problems
}

fn listed(keys: &[&str]) -> String {
    let more = keys.len().saturating_sub(MAX_LISTED);
    let shown = keys.iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ");
    match (shown.as_str(), more) {
        ("", _) => "none".to_owned(),
        (_, 0) => shown,
        (_, more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
