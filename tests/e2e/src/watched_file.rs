//! A file that mimir-rls watches, limits or edge config, and the ways in which operators change one.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::mounted_folder::MountedFolder;

/// A document in a folder of its own, laid out as Kubernetes mounts a ConfigMap: `document.yaml -> ..data/document.yaml`, `..data -> ..1`.
#[derive(Debug)]
pub struct WatchedFile {
    mounted: MountedFolder,
    folder: TempDir,
}

const NAME: &str = "document.yaml";

impl WatchedFile {
    /// A folder with no document in it yet.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { mounted: MountedFolder::at(folder.path()), folder }
    }

    /// A folder with this document in it.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn of(document: &str) -> Self {
        let file = Self::absent();
        file.write(document);
        file
    }

    /// Where the document is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// The value of `--limits` of a mimir-rls that takes its limits from this file.
    #[must_use]
    pub fn source(&self) -> String {
        format!("file:{}", self.path().display())
    }

    /// Writes the document in place.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, document: &str) {
        fs::write(self.path(), document).expect("the document can be written");
    }

    /// Takes the document away.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self) {
        fs::remove_file(self.path()).expect("the document can be removed");
    }

    /// Replaces the document by a rename, as editors and `kubectl cp` do.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn replace(&self, document: &str) {
        let new = self.folder.path().join("document.yaml.new");
        fs::write(&new, document).expect("the document can be written");
        fs::rename(new, self.path()).expect("the document can be replaced");
    }

    /// Replaces the document as the kubelet does: a new folder, and a rename of the symbolic link that leads to it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn swap(&self, document: &str) {
        self.mounted.swap(&[(NAME, document)]);
    }
}
