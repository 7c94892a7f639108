//! One document: from its bytes to nodes, which are then decoded once or twice.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Fault};
use crate::graph::{self, Graph, Kind, Tag};
use crate::once::{self, Tree};
use crate::resolve::is_null;
use crate::value::Map;
use crate::{characters, first_pass};

/// A document whose text was parsed.
#[derive(Debug)]
pub struct Document {
    name: String,
    graph: Graph,
}

/// What stands at the root of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Nothing, or a null.
    Nothing,
    /// A single value.
    Scalar,
    /// A list.
    Sequence,
    /// Keys with values.
    Mapping,
}

impl Document {
    /// Parses the first document of some bytes, of YAML or JSON, with nothing decoded. They are compressed if the name ends in `.gz`, by one gzip or
    /// several behind each other. No more than `most_bytes` are read, also once they are decompressed.
    ///
    /// # Errors
    /// Too many bytes, no gzip, no text, or no YAML.
    pub fn parse(name: &str, bytes: &[u8], most_bytes: usize) -> Result<Self, Error> {
        let is_compressed = name.ends_with(".gz");
        let decompressed = is_compressed.then(|| decompress(bytes, most_bytes)).transpose()?;
        let bytes = decompressed.as_deref().unwrap_or(bytes);
        if bytes.len() > most_bytes {
            return Err(too_large(bytes.len(), most_bytes));
        }
        let text = characters(bytes).map_err(|error| if is_compressed { error } else { named_wrong(error, bytes) })?;
        let graph = guarded(&text)?;
        if is_compressed && graph.root.is_none() {
            let message = "is compressed and empty, which Mimir refuses: leave it out, or write null".to_owned();
            let go = "uncompress/unmarshal gzipped file: EOF".to_owned();
            return Err(Error { go, ..Error::new(Fault::Syntax, 0, message, "") });
        }
        Ok(Document { name: name.to_owned(), graph })
    }

    /// The name that it was parsed under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line where a second document begins, which is not read.
    #[must_use]
    pub fn second_document(&self) -> Option<u64> {
        self.graph.second_document
    }

    /// How many values it has, keys included.
    #[must_use]
    pub fn values(&self) -> usize {
        self.graph.len()
    }

    /// What it is.
    #[must_use]
    pub fn root(&self) -> Root {
        match self.graph.root.map(|root| &self.graph.get(root).kind) {
            None => Root::Nothing,
            Some(Kind::Scalar { text, tag: Tag::None, quoted: false }) if is_null(text) => Root::Nothing,
            Some(Kind::Scalar { .. } | Kind::Alias { .. }) => Root::Scalar,
            Some(Kind::Sequence(_)) => Root::Sequence,
            Some(Kind::Mapping { .. }) => Root::Mapping,
        }
    }

    /// The keys at the root, with whether a mapping is under each, and the line.
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

    /// Decodes it once, strictly, as Mimir does with its main configuration.
    ///
    /// # Errors
    /// An alias into itself, a key or merge that is no scalar or mapping, or too many nodes.
    pub fn decode_once(&self) -> Result<Tree, Error> {
        once::decode(&self.graph)
    }

    pub(crate) fn first_pass(&self, source: usize) -> Result<Option<Map>, Error> {
        first_pass::decode(&self.graph, source)
    }
}

/// Parses a text. The library panics at a tag before a comma within brackets (`[!!str, a]`), and nobody knows whether elsewhere: that is a fault of
/// the text, and not the end of whoever reads it.
fn guarded(text: &str) -> Result<Graph, Error> {
    std::panic::catch_unwind(|| graph::parse(text)).unwrap_or_else(|_| {
        let message = "cannot be read: write a blank behind each tag (`!…`), also before a comma";
        Err(Error::new(Fault::Syntax, 0, message, "did not find expected whitespace or line break"))
    })
}

/// Says so where bytes are no text because they are compressed.
fn named_wrong(error: Error, bytes: &[u8]) -> Error {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return error;
    }
    let message = "is compressed, and its name does not end in .gz: name it so".to_owned();
    let go = format!("file looks gzipped but doesn't have a .gz extension: {}", error.go);
    Error { fault: Fault::Gzip, message, go, ..error }
}

fn too_large(bytes: usize, most: usize) -> Error {
    let message = format!("has {bytes} bytes, more than the {most} that are read");
    Error::new(Fault::TooLarge, 0, message, "document is too large")
}

fn decompress(bytes: &[u8], most: usize) -> Result<Vec<u8>, Error> {
    let gzip = |go: &str| {
        let message = "is no gzip, as its name says it is: name it without .gz, or compress it".to_owned();
        Error { go: go.to_owned(), ..Error::new(Fault::Gzip, 0, message, "") }
    };
    if bytes.len() < 18 || !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(gzip("read gzipped file: gzip: invalid header"));
    }
    let mut text = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut text);
    if text.len() > most {
        return Err(too_large(text.len(), most));
    }
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(gzip("uncompress/unmarshal gzipped file: unexpected EOF"))
        }
        Err(_) => Err(gzip("uncompress/unmarshal gzipped file: gzip: invalid checksum")),
    }
}
