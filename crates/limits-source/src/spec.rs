//! The value of `--limits`: a kind, a colon, and what that kind needs.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A source as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// `file:PATH`: a file that is watched for changes.
    File(PathBuf),
}

/// Why a `--limits` value names no source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// The text has no `KIND:` in front.
    #[error("{0:?} names no source; write file:PATH, for example file:/etc/mimir/runtime.yaml")]
    NoKind(String),
    /// The kind is not one of ours.
    #[error("{0:?} is no kind of source; the kind that exists is file:PATH")]
    UnknownKind(String),
    /// Nothing follows the kind.
    #[error("file: needs a path, for example file:/etc/mimir/runtime.yaml")]
    NoPath,
}

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| SpecError::NoKind(text.to_owned()))?;
        match kind {
            "file" if rest.is_empty() => Err(SpecError::NoPath),
            "file" => Ok(Self::File(PathBuf::from(rest))),
            other => Err(SpecError::UnknownKind(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_spelling() {
        assert_eq!("file:/a/b.yaml".parse(), Ok(SourceSpec::File("/a/b.yaml".into())));
        assert_eq!("file:with:colon.yaml".parse(), Ok(SourceSpec::File("with:colon.yaml".into())));
        assert_eq!("file:".parse::<SourceSpec>(), Err(SpecError::NoPath));
        assert_eq!("limits.yaml".parse::<SourceSpec>(), Err(SpecError::NoKind("limits.yaml".into())));
        assert_eq!("etcd:x".parse::<SourceSpec>(), Err(SpecError::UnknownKind("etcd".into())));
    }
}
