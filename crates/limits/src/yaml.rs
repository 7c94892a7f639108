//! YAML from `go_yaml`, with errors that become problems.

use go_yaml::ErrorKind;

use crate::code::Code;

pub(crate) use go_yaml::{Content, DuplicateKey, Entry, Node, Scalar, Tree};

/// Why a document cannot be used; line 0 is the whole document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) code: Code,
    pub(crate) line: u64,
    /// Completes a sentence that begins with the document's name.
    pub(crate) message: String,
    /// Mimir's error, if it has one.
    pub(crate) mimir: Option<String>,
}

impl YamlError {
    pub(crate) fn new(code: Code, line: u64, message: impl Into<String>) -> Self {
        YamlError { code, line, message: message.into(), mimir: None }
    }
}

impl From<go_yaml::Error> for YamlError {
    fn from(error: go_yaml::Error) -> Self {
        let code = match error.kind {
            ErrorKind::TooLarge => Code::TooLarge,
            ErrorKind::Encoding => Code::BadCharacters,
            ErrorKind::Gzip => Code::BadGzip,
            ErrorKind::Syntax => Code::BadSyntax,
            ErrorKind::Alias => Code::BadAlias,
            ErrorKind::Merge => Code::BadMerge,
            ErrorKind::Key => Code::BadKey,
            ErrorKind::Tag => Code::BadTag,
            ErrorKind::DuplicateKey => Code::DuplicateKey,
            ErrorKind::Root => Code::NotARuntimeConfiguration,
            ErrorKind::Conflict => Code::ConflictingSources,
        };
        YamlError { code, line: error.line, message: error.message, mimir: Some(error.go) }
    }
}

/// Decodes a YAML or JSON document in one pass.
///
/// # Errors
/// Those of [`go_yaml::Document::parse`] and [`go_yaml::Document::tree`].
pub(crate) fn parse(text: &str) -> Result<Tree, YamlError> {
    let document = go_yaml::Document::parse("", text.as_bytes(), usize::MAX)?;
    Ok(document.tree()?)
}
