//! YAML as `go_yaml` reads it, with faults that become problems.

use go_yaml::Fault;

use crate::code::Code;

pub(crate) use go_yaml::{Content, Duplicate, Entry, Node, Scalar, Tree};

/// Why a text has no tree; line 0 is the whole document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) code: Code,
    pub(crate) line: u64,
    /// Completes a sentence that begins with the document's name.
    pub(crate) message: String,
    /// What Mimir says, where it has something to say.
    pub(crate) mimir: Option<String>,
}

impl YamlError {
    pub(crate) fn new(code: Code, line: u64, message: impl Into<String>) -> Self {
        YamlError { code, line, message: message.into(), mimir: None }
    }
}

impl From<go_yaml::Error> for YamlError {
    fn from(error: go_yaml::Error) -> Self {
        let code = match error.fault {
            Fault::TooLarge => Code::TooLarge,
            Fault::Characters => Code::BadCharacters,
            Fault::Gzip => Code::BadGzip,
            Fault::Syntax => Code::BadSyntax,
            Fault::Alias => Code::BadAlias,
            Fault::Merge => Code::BadMerge,
            Fault::Key => Code::BadKey,
            Fault::Tag => Code::BadTag,
            Fault::Duplicate => Code::DuplicateKey,
            Fault::Root => Code::NotARuntimeConfiguration,
            Fault::Conflict => Code::ConflictingSources,
        };
        YamlError { code, line: error.line, message: error.message, mimir: Some(error.go) }
    }
}

/// Reads one document of YAML or JSON that is decoded once.
///
/// # Errors
/// No YAML, an alias into itself, a key or merge that is no scalar or mapping, or too much.
pub(crate) fn parse(text: &str) -> Result<Tree, YamlError> {
    let document = go_yaml::Document::parse("", text.as_bytes(), usize::MAX)?;
    Ok(document.decode_once()?)
}
