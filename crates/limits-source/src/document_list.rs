//! The documents of `--limits file:` and `--limits http:`: a comma-separated list, like Mimir's `-runtime-config.file`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::url::{DocumentUrl, UrlError};
use crate::watched::{self, Document, Place};

/// The most documents in a list. Each may have 16 MiB, and all are in memory while they are read.
const MAX_DOCUMENTS: usize = 16;

/// Documents that are merged from left to right, as Mimir merges those of `-runtime-config.file`: `PATH[,PATH…]`, 1 to 16 of
/// them. A path that begins with `http://` or `https://` is a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentList {
    places: Vec<DocumentPlace>,
}

/// Where one document is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DocumentPlace {
    File(PathBuf),
    Url(DocumentUrl),
}

/// Why a list of documents is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DocumentListError {
    /// A path is empty.
    #[error("a path is empty; write for example /etc/mimir/runtime.yaml, with a comma between two")]
    NoPath,
    /// A URL is invalid.
    #[error("a URL is invalid: {0}")]
    Url(#[from] UrlError),
    /// There are too many.
    #[error("there are more than {MAX_DOCUMENTS} documents; merge some of them")]
    TooMany,
}

impl DocumentList {
    /// The files among them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().filter_map(|place| match place {
            DocumentPlace::File(path) => Some(path.as_path()),
            DocumentPlace::Url(_) => None,
        })
    }

    /// The URLs among them.
    pub(crate) fn urls(&self) -> Vec<DocumentUrl> {
        let url = |place: &DocumentPlace| match place {
            DocumentPlace::File(_) => None,
            DocumentPlace::Url(url) => Some(url.clone()),
        };
        self.places.iter().filter_map(url).collect()
    }

    /// The documents to watch; URLs have their index in [`DocumentList::urls`]. The name of a file is its path if several files have the same name.
    pub(crate) fn documents(&self) -> Vec<Document> {
        let name = |path: &Path| {
            let name = watched::file_name(path);
            let is_only = self.files().filter(|file| watched::file_name(file) == name).count() == 1;
            if is_only { name } else { path.display().to_string() }
        };
        let mut urls = 0..;
        let document = |place: &DocumentPlace| match place {
            DocumentPlace::File(path) => Document { name: name(path), place: Place::File(path.clone()) },
            DocumentPlace::Url(url) => {
                Document { name: url.to_string(), place: Place::Url(urls.next().unwrap_or_default()) }
            }
        };
        self.places.iter().map(document).collect()
    }
}

impl FromStr for DocumentList {
    type Err = DocumentListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.split(',').count() > MAX_DOCUMENTS {
            return Err(DocumentListError::TooMany);
        }
        let place = |text: &str| match text {
            "" => Err(DocumentListError::NoPath),
            url if DocumentUrl::is_meant_by(url) => Ok(DocumentPlace::Url(url.parse()?)),
            path => Ok(DocumentPlace::File(PathBuf::from(path))),
        };
        Ok(Self { places: text.split(',').map(place).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for DocumentList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in self.places.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match place {
                DocumentPlace::File(path) => write!(formatter, "{comma}{}", path.display())?,
                DocumentPlace::Url(url) => write!(formatter, "{comma}{url}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let list: DocumentList = text.parse().unwrap();
        assert_eq!(list.to_string(), text);
        list.documents().into_iter().map(|document| document.name).collect()
    }

    #[test]
    fn commas_separate_documents_as_in_mimirs_flag() {
        assert_eq!(names("/a/b.yaml"), ["b.yaml"]);
        assert_eq!(names("/a/b.yaml,c.yaml.gz, d"), ["b.yaml", "c.yaml.gz", " d"]);
        assert_eq!(names("/a/b.yaml,/c/b.yaml,d"), ["/a/b.yaml", "/c/b.yaml", "d"], "each problem names one file");
        assert_eq!(names("http://a/b.yaml,c,https://d/e"), ["http://a/b.yaml", "c", "https://d/e"]);
        let bad_url = Err(DocumentListError::Url(UrlError::NoHttpUrl(DocumentUrl::EXAMPLE)));
        assert_eq!("a,http:///b".parse::<DocumentList>(), bad_url);
        for text in ["", ",", "a,", ",a", "a,,b"] {
            assert_eq!(text.parse::<DocumentList>(), Err(DocumentListError::NoPath), "{text}");
        }
        assert_eq!(vec!["a"; MAX_DOCUMENTS + 1].join(",").parse::<DocumentList>(), Err(DocumentListError::TooMany));
    }
}
