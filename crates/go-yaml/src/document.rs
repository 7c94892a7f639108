//! One document: from its bytes to nodes, which are decoded in one pass or in two.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, ErrorKind};
use crate::graph::{self, Graph, Kind, Tag};
use crate::resolve::is_null;
use crate::tree::{self, Tree};
use crate::value::Map;
use crate::{first_pass, reader};

/// A parsed document.
#[derive(Debug)]
pub struct Document {
    name: String,
    graph: Graph,
}

/// The kind of a document's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKind {
    /// Empty or null.
    Null,
    /// A single value.
    Scalar,
    /// A list.
    Sequence,
    /// Keys with values.
    Mapping,
}

impl Document {
    /// Parses the first YAML or JSON document in `bytes`, which are gzip (of one or several members) if the name ends in `.gz`.
    ///
    /// # Errors
    /// More than `max_bytes` bytes, also once decompressed; no gzip; no text; or no YAML.
    pub fn parse(name: &str, bytes: &[u8], max_bytes: usize) -> Result<Self, Error> {
        let is_compressed = name.ends_with(".gz");
        let decompressed = is_compressed.then(|| decompress(bytes, max_bytes)).transpose()?;
        let bytes = decompressed.as_deref().unwrap_or(bytes);
        if bytes.len() > max_bytes {
            return Err(too_large(bytes.len(), max_bytes));
        }
        let text = reader::decode_text(bytes)
            .map_err(|error| if is_compressed { error } else { with_gzip_hint(error, bytes) })?;
        let graph = parse_without_panic(&text)?;
        if is_compressed && graph.root.is_none() {
            let message = "is compressed and empty, which Mimir rejects: leave it out, or write null".to_owned();
            let go = "uncompress/unmarshal gzipped file: EOF".to_owned();
            return Err(Error { go, ..Error::new(ErrorKind::Syntax, 0, message, "") });
        }
        Ok(Document { name: name.to_owned(), graph })
    }

    /// The name given to [`Document::parse`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of a second document, which is ignored.
    #[must_use]
    pub fn second_document(&self) -> Option<u64> {
        self.graph.second_document
    }

    /// The number of values, keys included.
    #[must_use]
    pub fn values(&self) -> usize {
        self.graph.len()
    }

    /// The kind of its root.
    #[must_use]
    pub fn root_kind(&self) -> RootKind {
        match self.graph.root.map(|root| &self.graph.get(root).kind) {
            None => RootKind::Null,
            Some(Kind::Scalar { text, tag: Tag::None, quoted: false }) if is_null(text) => RootKind::Null,
            Some(Kind::Scalar { .. } | Kind::Alias { .. }) => RootKind::Scalar,
            Some(Kind::Sequence(_)) => RootKind::Sequence,
            Some(Kind::Mapping { .. }) => RootKind::Mapping,
        }
    }

    /// The keys at the root, each with whether its value is a mapping, and its line.
    pub fn root_keys(&self) -> impl Iterator<Item = (&str, bool, u64)> {
        let pairs = match self.graph.root.map(|root| &self.graph.get(root).kind) {
            Some(Kind::Mapping { pairs }) => pairs.as_slice(),
            _ => &[],
        };
        pairs.iter().filter_map(|(key, value)| {
            let node = self.graph.get(self.graph.target(*key));
            let Kind::Scalar { text, .. } = &node.kind else { return None };
            let value = self.graph.get(self.graph.target(*value));
            Some((&**text, matches!(value.kind, Kind::Mapping { .. }), node.line))
        })
    }

    /// Decodes it in one pass, as Mimir does with its main configuration.
    ///
    /// # Errors
    /// A recursive alias, a key that is no scalar, a merge of no mapping, or too many nodes.
    pub fn tree(&self) -> Result<Tree, Error> {
        tree::build(&self.graph)
    }

    pub(crate) fn first_pass(&self, source: usize) -> Result<Option<Map>, Error> {
        first_pass::decode(&self.graph, source)
    }
}

/// Parses a text. libyaml-safer panics at a tag before a comma within brackets (`[!!str, a]`), and maybe elsewhere: a syntax
/// error here.
fn parse_without_panic(text: &str) -> Result<Graph, Error> {
    std::panic::catch_unwind(|| graph::parse(text)).unwrap_or_else(|_| {
        let message = "cannot be read: write a blank after each tag (`!…`), also before a comma";
        Err(Error::new(ErrorKind::Syntax, 0, message, "did not find expected whitespace or line break"))
    })
}

/// A clearer error for bytes that are no text because they are gzip.
fn with_gzip_hint(error: Error, bytes: &[u8]) -> Error {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return error;
    }
    let message = "is compressed, and its name does not end in .gz: rename it".to_owned();
    let go = format!("file looks gzipped but doesn't have a .gz extension: {}", error.go);
    Error { kind: ErrorKind::Gzip, message, go, ..error }
}

fn too_large(bytes: usize, max: usize) -> Error {
    let message = format!("has {bytes} bytes, more than the {max} that are read");
    Error::new(ErrorKind::TooLarge, 0, message, "document is too large")
}

fn decompress(bytes: &[u8], max: usize) -> Result<Vec<u8>, Error> {
    let gzip = |go: &str| {
        let message = "is no gzip, although its name ends in .gz: rename or compress it".to_owned();
        Error { go: go.to_owned(), ..Error::new(ErrorKind::Gzip, 0, message, "") }
    };
    if bytes.len() < 18 || !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(gzip("read gzipped file: gzip: invalid header"));
    }
    let mut text = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut text);
    if text.len() > max {
        return Err(too_large(text.len(), max));
    }
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(gzip("uncompress/unmarshal gzipped file: unexpected EOF"))
        }
        Err(_) => Err(gzip("uncompress/unmarshal gzipped file: gzip: invalid checksum")),
    }
}
