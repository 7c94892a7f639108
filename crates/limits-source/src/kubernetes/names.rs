//! Names of Kubernetes objects in flags: `NAMESPACE/NAME`, and the ConfigMap of `--limits kube:` with its keys.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::keys::{self, ConfigMapData, SelectedKeys};

/// The longest DNS label: the name of a namespace or a Service.
const MAX_LABEL_BYTES: usize = 63;

/// The longest DNS subdomain: the name of a ConfigMap.
const MAX_SUBDOMAIN_BYTES: usize = 253;

/// The name of an object: `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespacedName {
    /// The namespace of the object.
    pub namespace: String,
    /// The name in that namespace.
    pub name: String,
}

/// Why the name of an object is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectNameError {
    /// It has no slash.
    #[error("{0:?} has no slash; write NAMESPACE/NAME")]
    NoSlash(String),
    /// The part before the slash is no namespace.
    #[error(
        "{0:?} is no namespace: it takes 1 to 63 characters out of a-z, 0-9 and -, and begins and ends with a letter or digit"
    )]
    Namespace(String),
    /// The part after the slash is no name of such an object.
    #[error(
        "{text:?} is no name of a {kind}: it takes 1 to {longest} characters out of {characters}, and begins and ends with a letter or digit"
    )]
    Name {
        /// What was written.
        text: String,
        /// The kind of object.
        kind: &'static str,
        /// The most bytes it may have.
        longest: usize,
        /// What it may consist of.
        characters: &'static str,
    },
    /// The part after the slash has an equals sign, and is no label with its value.
    #[error(
        "{0:?} is no label and its value; write LABEL=VALUE, for example app.kubernetes.io/component=runtime, with one label"
    )]
    Label(String),
    /// The part after the second slash is no key.
    #[error("{0:?} is no key of a ConfigMap: it takes 1 to 253 characters out of a-z, A-Z, 0-9, -, _ and .")]
    Key(String),
}

impl NamespacedName {
    /// Parses the name of a Service.
    ///
    /// # Errors
    /// The text is not `NAMESPACE/NAME`, or Kubernetes has no such names.
    pub fn of_service(text: &str) -> Result<Self, ObjectNameError> {
        let (namespace, name) = namespace_and_rest(text)?;
        if !is_label(name) {
            let (kind, characters) = ("Service", "a-z, 0-9 and -");
            return Err(ObjectNameError::Name { text: name.to_owned(), kind, longest: MAX_LABEL_BYTES, characters });
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Splits at the first slash, which follows a namespace.
fn namespace_and_rest(text: &str) -> Result<(&str, &str), ObjectNameError> {
    let (namespace, rest) = text.split_once('/').ok_or_else(|| ObjectNameError::NoSlash(text.to_owned()))?;
    if !is_label(namespace) {
        return Err(ObjectNameError::Namespace(namespace.to_owned()));
    }
    Ok((namespace, rest))
}

/// The name of a label on an object, `NAME` or `PREFIX/NAME`.
fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_prefix = |prefix: &str| prefix.len() <= MAX_SUBDOMAIN_BYTES && prefix.split('.').all(is_label_of_any_length);
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_prefix)
}

/// The value of a label on an object.
fn is_label_value(text: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.is_empty()
        || (text.len() <= MAX_LABEL_BYTES && end(bytes.first()) && end(bytes.last()) && bytes.iter().all(is_key_byte))
}

/// A key of a ConfigMap's data.
fn is_config_map_key(text: &str) -> bool {
    (1..=MAX_SUBDOMAIN_BYTES).contains(&text.len()) && text.as_bytes().iter().all(is_key_byte)
}

fn is_key_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL_BYTES && is_label_of_any_length(text)
}

/// The labels of a subdomain have no bound of their own.
fn is_label_of_any_length(text: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    end(bytes.first()) && end(bytes.last()) && bytes.iter().all(inner)
}

/// A ConfigMap and its keys: `NAMESPACE/CONFIGMAP[/KEY,KEY…]` or `NAMESPACE/LABEL=VALUE[/KEY,KEY…]`. Its `Display` has no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapSpec {
    /// The namespace it is in.
    pub namespace: String,
    /// Which ConfigMap of that namespace.
    pub selector: ConfigMapSelector,
    /// The keys that are read, merged in this order. Empty: the one that Mimir's charts mount, and all flat keys `TENANT.FIELD`.
    pub keys: Vec<String>,
}

/// Which ConfigMap of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigMapSelector {
    /// The one with this name.
    Name(String),
    /// The newest, by `creationTimestamp`, with this label: names that kustomize generates change with the content.
    Label {
        /// The label's name, such as `app.kubernetes.io/component`.
        key: String,
        /// Its value; may be empty.
        value: String,
    },
}

impl ConfigMapSpec {
    /// Whether this selects an object with this namespace, name and labels.
    #[must_use]
    pub fn selects(&self, namespace: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
        namespace == self.namespace
            && match &self.selector {
                ConfigMapSelector::Name(own) => name == own,
                ConfigMapSelector::Label { key, value } => labels.get(key) == Some(value),
            }
    }

    /// The keys of a selected ConfigMap that are read.
    #[must_use]
    pub fn select_keys<'d>(&self, data: &'d ConfigMapData) -> SelectedKeys<'d> {
        keys::select(&self.to_string(), &self.keys, data)
    }

    /// The name, unless the selector is a label.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.selector {
            ConfigMapSelector::Name(name) => Some(name),
            ConfigMapSelector::Label { .. } => None,
        }
    }
}

impl ConfigMapSelector {
    /// The field selector of a request.
    pub(super) fn field_selector(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(format!("metadata.name={name}")),
            Self::Label { .. } => None,
        }
    }

    /// The label selector of a request.
    pub(super) fn label_selector(&self) -> Option<String> {
        match self {
            Self::Name(_) => None,
            Self::Label { key, value } => Some(format!("{key}={value}")),
        }
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
        // A label's name may contain a slash; neither its value nor a key of a ConfigMap may contain a slash or an equals sign.
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
                if name.len() > MAX_SUBDOMAIN_BYTES || !name.split('.').all(is_label_of_any_length) {
                    let (kind, characters) = ("ConfigMap", "a-z, 0-9, - and .");
                    return Err(ObjectNameError::Name { text: name, kind, longest: MAX_SUBDOMAIN_BYTES, characters });
                }
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
mod tests;
