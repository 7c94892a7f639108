//! A file that mimir-rls watches, limits or edge config, and the ways in which operators change one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A document in a folder of its own, laid out as Kubernetes mounts a ConfigMap: `document.yaml -> ..data/document.yaml`, `..data -> ..1`.
#[derive(Debug)]
pub struct WatchedFile {
    folder: TempDir,
    swaps: AtomicU32,
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
        Self { folder, swaps: AtomicU32::new(0) }
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
        let root = self.folder.path();
        let number = self.swaps.fetch_add(1, Ordering::Relaxed);
        let generation = format!("..{number}");
        fs::create_dir(root.join(&generation)).expect("a folder can be made");
        fs::write(root.join(&generation).join(NAME), document).expect("the document can be written");
        symlink(&generation, root.join("..data_tmp")).expect("a link can be made");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("a link can be replaced");
        if number == 0 {
            symlink(format!("..data/{NAME}"), root.join("..link")).expect("a link can be made");
            fs::rename(root.join("..link"), self.path()).expect("a link can be put in place");
        } else {
            fs::remove_dir_all(root.join(format!("..{}", number - 1))).expect("the old folder can be removed");
        }
    }
}
