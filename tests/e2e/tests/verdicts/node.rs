//! A configuration as a tree, before it is written as YAML.

/// A value; texts are YAML already.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn map<const N: usize>(entries: [(&str, Node); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The entries of a map.
    pub(crate) fn entries(&mut self) -> &mut Vec<(String, Node)> {
        match self {
            Self::Map(entries) => entries,
            other => unreachable!("{other:?} is no map"),
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}
