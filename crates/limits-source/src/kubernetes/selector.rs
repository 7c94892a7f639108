//! The ConfigMap that `--limits kube:` names, and which of its keys are read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::keys::{self, ConfigMapData, SelectedKeys};
use super::names::{
    ConfigMapName, ObjectNameError, is_config_map_key, is_label_key, is_label_value, namespace_and_rest,
};

/// A ConfigMap and its keys: `NAMESPACE/CONFIGMAP[/KEY,KEY…]` or `NAMESPACE/LABEL=VALUE[/KEY,KEY…]`. Its `Display` has no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapSpec {
    /// The namespace it is in.
    pub namespace: String,
    /// Which one in that namespace.
    pub selector: ConfigMapSelector,
    /// The keys that are read, merged in this order. Empty: the one that Mimir's charts mount, with all flat keys `TENANT.FIELD`.
    pub keys: Vec<String>,
}

/// Which ConfigMap of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigMapSelector {
    /// The one with this name.
    Name(String),
    /// The newest, by `creationTimestamp`, of those that have this label: names that kustomize makes change with their content.
    Label {
        /// The label's name, such as `app.kubernetes.io/component`.
        key: String,
        /// Its value; may be empty.
        value: String,
    },
}

impl ConfigMapSpec {
    /// Whether an object of this namespace and name, with these labels, is one that this selects.
    #[must_use]
    pub fn selects(&self, namespace: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
        namespace == self.namespace
            && match &self.selector {
                ConfigMapSelector::Name(own) => name == own,
                ConfigMapSelector::Label { key, value } => labels.get(key) == Some(value),
            }
    }

    /// What is read of a ConfigMap that this selects.
    #[must_use]
    pub fn select_keys<'d>(&self, data: &'d ConfigMapData) -> SelectedKeys<'d> {
        keys::select(&self.to_string(), &self.keys, data)
    }

    /// The name that is selected, unless a label selects.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.selector {
            ConfigMapSelector::Name(name) => Some(name),
            ConfigMapSelector::Label { .. } => None,
        }
    }
}

impl ConfigMapSelector {
    /// The field selector of a request for what this selects.
    pub(super) fn field_selector(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(format!("metadata.name={name}")),
            Self::Label { .. } => None,
        }
    }

    /// The label selector of a request for what this selects.
    pub(super) fn label_selector(&self) -> Option<String> {
        match self {
            Self::Name(_) => None,
            Self::Label { key, value } => Some(format!("{key}={value}")),
        }
    }
}

impl From<ConfigMapName> for ConfigMapSpec {
    fn from(ConfigMapName { namespace, name }: ConfigMapName) -> Self {
        Self { namespace, selector: ConfigMapSelector::Name(name), keys: Vec::new() }
    }
}

impl FromStr for ConfigMapSpec {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, rest) = namespace_and_rest(text)?;
        let split_keys = |text: &'_ str| match text.split_once('/') {
            Some((first, keys)) => (first.to_owned(), Some(keys.to_owned())),
            None => (text.to_owned(), None),
        };
        // A label's name may have a slash in it; neither its value nor a key of a ConfigMap may have a slash or an equals sign.
        let (selector, keys) = match rest.split_once('=') {
            Some((key, after)) => {
                let (value, keys) = split_keys(after);
                if !is_label_key(key) || !is_label_value(&value) {
                    return Err(ObjectNameError::Label(format!("{key}={value}")));
                }
                (ConfigMapSelector::Label { key: key.to_owned(), value }, keys)
            }
            None => {
                let (name, keys) = split_keys(rest);
                let ConfigMapName { name, .. } = format!("{namespace}/{name}").parse()?;
                (ConfigMapSelector::Name(name), keys)
            }
        };
        let keys: Vec<String> = keys.iter().flat_map(|keys| keys.split(',')).map(str::to_owned).collect();
        if let Some(bad) = keys.iter().find(|key| !is_config_map_key(key)) {
            return Err(ObjectNameError::Key(bad.clone()));
        }
        Ok(Self { namespace: namespace.to_owned(), selector, keys })
    }
}

impl fmt::Display for ConfigMapSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            ConfigMapSelector::Name(name) => write!(formatter, "{}/{name}", self.namespace),
            ConfigMapSelector::Label { key, value } => write!(formatter, "{}/{key}={value}", self.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, keys: &[&str]) -> ConfigMapSpec {
        let spec: ConfigMapSpec = text.parse().unwrap_or_else(|error| unreachable!("{text}: {error}"));
        assert_eq!((spec.to_string().as_str(), spec.keys.as_slice()), (shown, owned(keys).as_slice()));
        spec
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_name_or_a_label_and_keys_are_read() {
        assert_eq!(check("mimir/runtime", "mimir/runtime", &[]).name(), Some("runtime"));
        check("mimir/runtime/a.yaml", "mimir/runtime", &["a.yaml"]);
        check("mimir/runtime/b.yaml,a_B-1.yaml", "mimir/runtime", &["b.yaml", "a_B-1.yaml"]);
        assert_eq!(check("mimir/app=runtime", "mimir/app=runtime", &[]).name(), None);
        check("mimir/app=runtime/a.yaml", "mimir/app=runtime", &["a.yaml"]);
        let spec = check("m/app.kubernetes.io/name=run_Time/a,b", "m/app.kubernetes.io/name=run_Time", &["a", "b"]);
        assert_eq!(spec.selector.label_selector().as_deref(), Some("app.kubernetes.io/name=run_Time"));
        check("m/app=", "m/app=", &[]);
    }

    #[test]
    fn what_kubernetes_does_not_take_is_refused() {
        let refused = |text: &str| text.parse::<ConfigMapSpec>().map_err(|error| error.to_string()).unwrap_err();
        for text in ["m/n/", "m/n/a,,b", "m/n/a/b", "m/n/a b", "m/a=b/", "m/a=b/c=d"] {
            assert!(refused(text).contains("is no key of a ConfigMap"), "{text}: {}", refused(text));
        }
        for text in ["m/=b", "m/a =b", "m/-a=b", "m/a/b/c=d", "m/A/b=c", "m/a=b c", "m/a=-b", "m/a=b,c=d"] {
            assert!(refused(text).contains("is no label"), "{text}: {}", refused(text));
        }
        assert!(refused("m/N").contains("is no name of a ConfigMap"));
        assert!(refused("M/n").contains("is no namespace"));
        assert!(refused("n").contains("has no slash"));
    }

    #[test]
    fn an_object_is_selected_by_its_namespace_and_name_or_label() {
        let labels = |value: &str| BTreeMap::from([("app".to_owned(), value.to_owned())]);
        let by_name = check("mimir/runtime", "mimir/runtime", &[]);
        assert!(by_name.selects("mimir", "runtime", &labels("x")) && !by_name.selects("mimir", "other", &labels("x")));
        let by_label = check("mimir/app=x", "mimir/app=x", &[]);
        assert!(by_label.selects("mimir", "any", &labels("x")) && !by_label.selects("mimir", "any", &labels("y")));
        assert!(!by_label.selects("other", "any", &labels("x")) && !by_label.selects("mimir", "x", &BTreeMap::new()));
    }
}
