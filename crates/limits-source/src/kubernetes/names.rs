//! Names of Kubernetes objects as the operator writes them: `NAMESPACE/NAME`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest DNS label, and with it the longest name of a namespace or a Service.
const MAX_LABEL_BYTES: usize = 63;

/// The longest DNS subdomain, and with it the longest name of a ConfigMap.
const MAX_SUBDOMAIN_BYTES: usize = 253;

/// A ConfigMap: `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigMapName {
    /// The namespace it is in.
    pub namespace: String,
    /// Its own name.
    pub name: String,
}

/// A Service: `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceName {
    /// The namespace it is in.
    pub namespace: String,
    /// Its own name.
    pub name: String,
}

/// Why a text names no object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectNameError {
    /// There is no slash in it.
    #[error("{0:?} has no slash; write NAMESPACE/NAME")]
    NoSlash(String),
    /// What is in front of the slash cannot be a namespace.
    #[error(
        "{0:?} is no namespace: it takes 1 to 63 characters out of a-z, 0-9 and -, and begins and ends with a letter or digit"
    )]
    Namespace(String),
    /// What follows the slash cannot be the name of such an object.
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
    /// What follows the slash has an equals sign, and cannot be a label with its value.
    #[error(
        "{0:?} is no label and its value; write LABEL=VALUE, for example app.kubernetes.io/component=runtime, with one label"
    )]
    Label(String),
    /// What follows the second slash cannot be a key.
    #[error("{0:?} is no key of a ConfigMap: it takes 1 to 253 characters out of a-z, A-Z, 0-9, -, _ and .")]
    Key(String),
}

impl FromStr for ConfigMapName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = split(text)?;
        if name.len() > MAX_SUBDOMAIN_BYTES || !name.split('.').all(is_label_of_any_length) {
            let (kind, characters) = ("ConfigMap", "a-z, 0-9, - and .");
            return Err(ObjectNameError::Name { text: name, kind, longest: MAX_SUBDOMAIN_BYTES, characters });
        }
        Ok(Self { namespace, name })
    }
}

impl FromStr for ServiceName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = split(text)?;
        if !is_label(&name) {
            let (kind, characters) = ("Service", "a-z, 0-9 and -");
            return Err(ObjectNameError::Name { text: name, kind, longest: MAX_LABEL_BYTES, characters });
        }
        Ok(Self { namespace, name })
    }
}

impl fmt::Display for ConfigMapName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

fn split(text: &str) -> Result<(String, String), ObjectNameError> {
    namespace_and_rest(text).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}

/// What is in front of the first slash, which is a namespace, and what follows it.
pub(super) fn namespace_and_rest(text: &str) -> Result<(&str, &str), ObjectNameError> {
    let (namespace, rest) = text.split_once('/').ok_or_else(|| ObjectNameError::NoSlash(text.to_owned()))?;
    if !is_label(namespace) {
        return Err(ObjectNameError::Namespace(namespace.to_owned()));
    }
    Ok((namespace, rest))
}

/// The name of a label on an object, `NAME` or `PREFIX/NAME`.
pub(super) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_prefix = |prefix: &str| prefix.len() <= MAX_SUBDOMAIN_BYTES && prefix.split('.').all(is_label_of_any_length);
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_prefix)
}

/// The value of a label on an object.
pub(super) fn is_label_value(text: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.is_empty()
        || (text.len() <= MAX_LABEL_BYTES && end(bytes.first()) && end(bytes.last()) && bytes.iter().all(is_key_byte))
}

/// A key of a ConfigMap's data.
pub(super) fn is_config_map_key(text: &str) -> bool {
    (1..=MAX_SUBDOMAIN_BYTES).contains(&text.len()) && text.as_bytes().iter().all(is_key_byte)
}

fn is_key_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL_BYTES && is_label_of_any_length(text)
}

/// A subdomain is bounded as a whole, its labels are not.
fn is_label_of_any_length(text: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    end(bytes.first()) && end(bytes.last()) && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = ObjectNameError> + fmt::Display>(text: &str, expected: Result<(), &str>) {
        let read = text.parse::<T>();
        match expected {
            Ok(()) => assert_eq!(read.unwrap_or_else(|error| unreachable!("{error}")).to_string(), text),
            Err(part) => {
                let error = read.err().unwrap_or_else(|| unreachable!("{text} is read")).to_string();
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn reads_what_kubernetes_takes_and_says_what_it_does_not() {
        let longest = format!("a/{}", "b".repeat(253));
        check::<ConfigMapName>("mimir/mimir-runtime", Ok(()));
        check::<ConfigMapName>("0/a.b-c.9", Ok(()));
        check::<ConfigMapName>(&longest, Ok(()));
        check::<ConfigMapName>(&format!("{longest}b"), Err("1 to 253 characters out of a-z, 0-9, - and ."));
        check::<ConfigMapName>("mimir-runtime", Err("write NAMESPACE/NAME"));
        check::<ConfigMapName>("/a", Err("is no namespace"));
        check::<ConfigMapName>("a.b/c", Err("is no namespace"));
        check::<ConfigMapName>(&format!("{}/c", "a".repeat(64)), Err("is no namespace"));
        for name in ["", "a/b", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a b", "ä"] {
            check::<ConfigMapName>(&format!("a/{name}"), Err("is no name of a ConfigMap"));
        }
        check::<ServiceName>("mimir/mimir-distributor", Ok(()));
        check::<ServiceName>(&format!("a/{}", "b".repeat(63)), Ok(()));
        for name in ["", "a.b", "A", &"b".repeat(64)] {
            check::<ServiceName>(&format!("a/{name}"), Err("is no name of a Service: it takes 1 to 63 characters"));
        }
    }
}
