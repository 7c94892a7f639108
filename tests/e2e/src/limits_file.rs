//! A limits file and the ways in which operators change one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A document in a folder of its own, laid out as Kubernetes mounts a ConfigMap: `runtime.yaml -> ..data/runtime.yaml`, `..data -> ..1`.
#[derive(Debug)]
pub struct LimitsFile {
    folder: TempDir,
    swaps: AtomicU32,
}

const NAME: &str = "runtime.yaml";

impl LimitsFile {
    /// A folder with no document in it yet.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { folder, swaps: AtomicU32::new(0) }
    }

    /// Where the document is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// Writes the document in place.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, document: &str) {
        fs::write(self.path(), document).expect("the limits can be written");
    }

    /// Replaces the document by a rename, as editors and `kubectl cp` do.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn replace(&self, document: &str) {
        let new = self.folder.path().join("runtime.yaml.new");
        fs::write(&new, document).expect("the limits can be written");
        fs::rename(new, self.path()).expect("the limits can be replaced");
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
        fs::write(root.join(&generation).join(NAME), document).expect("the limits can be written");
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
