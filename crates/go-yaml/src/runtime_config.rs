//! A runtime configuration of one or several documents, from bytes to the tree of the second pass.

use std::io::Read;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Fault};
use crate::node::Node;
use crate::value::Map;
use crate::{characters, encode, first_pass, graph, sources};

/// The bytes of one document with its name, which decides on whether they are compressed.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// A file name, or another; compressed if it ends in `.gz`.
    pub name: &'s str,
    /// The bytes as they are stored.
    pub bytes: &'s [u8],
}

/// Documents that are merged, one after another.
#[derive(Debug)]
pub struct RuntimeConfig {
    merged: Option<Map>,
    count: usize,
    most_bytes: usize,
}

/// What was read of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The line where a second document begins, which is not read.
    pub second_document: Option<u64>,
}

impl RuntimeConfig {
    /// None yet; of each, no more than so many bytes are read, also once they are decompressed.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        RuntimeConfig { merged: None, count: 0, most_bytes }
    }

    /// Reads a document, and lays it over those before it.
    ///
    /// # Errors
    /// Mimir refuses it, or it is too large. The error's `go` begins as Mimir's does, with what it was about to do.
    pub fn add(&mut self, source: &Source<'_>) -> Result<Taken, Error> {
        let of_source = |error: Error| Error { go: format!("unmarshal {:?}: {}", source.name, error.go), ..error };
        let (map, taken) = self.read(source).map_err(of_source)?;
        self.count += 1;
        match (&mut self.merged, map) {
            (Some(merged), Some(map)) => sources::merge(merged, map, source.name, "")?,
            (merged @ None, map) => *merged = map,
            (Some(_), None) => {}
        }
        Ok(taken)
    }

    fn read(&self, source: &Source<'_>) -> Result<(Option<Map>, Taken), Error> {
        let is_compressed = source.name.ends_with(".gz");
        let decompressed = is_compressed.then(|| decompress(source.bytes, self.most_bytes)).transpose()?;
        let bytes = decompressed.as_deref().unwrap_or(source.bytes);
        if bytes.len() > self.most_bytes {
            return Err(too_large(bytes.len(), self.most_bytes));
        }
        let looks_compressed = !is_compressed && bytes.starts_with(&[0x1f, 0x8b]);
        let text = characters::characters(bytes).map_err(|error| match looks_compressed {
            true => Error {
                fault: Fault::Characters,
                message: "is compressed, and its name does not end in .gz: name it so".to_owned(),
                go: format!("file looks gzipped but doesn't have a .gz extension: {}", error.go),
                ..error
            },
            false => error,
        })?;
        let graph = graph::parse(&text)?;
        if is_compressed && graph.root.is_none() {
            let message = "is compressed and empty, which Mimir refuses: leave it out, or write null";
            return Err(Error {
                go: "uncompress/unmarshal gzipped file: EOF".to_owned(),
                ..Error::new(Fault::Syntax, 0, message, "")
            });
        }
        let second_document = graph.second_document;
        Ok((first_pass::decode(&graph, self.count)?, Taken { second_document }))
    }

    /// The tree of the second pass; `None` if no document has a root.
    ///
    /// # Errors
    /// A text that Go can write and not read back.
    pub fn tree(&self) -> Result<Option<Rc<Node>>, Error> {
        self.merged.as_ref().map(encode::encode).transpose()
    }
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
