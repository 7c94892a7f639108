//! A folder as the kubelet mounts a ConfigMap or Secret.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder whose files change together: `tls.crt -> ..data/tls.crt`, `..data -> ..1`.
#[derive(Debug)]
pub struct MountedFolder {
    path: PathBuf,
    swaps: AtomicU32,
}

impl MountedFolder {
    /// A folder with no file in it yet.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        fs::create_dir_all(path).expect("a folder can be made");
        Self { path: path.to_owned(), swaps: AtomicU32::new(0) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces all files as the kubelet does: a new folder, and a rename of the symbolic link that leads to it. Takes their names and contents; each swap
    /// has the same names.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn swap(&self, files: &[(&str, &str)]) {
        let number = self.swaps.fetch_add(1, Ordering::Relaxed);
        let generation = format!("..{number}");
        fs::create_dir(self.path.join(&generation)).expect("a folder can be made");
        for (name, text) in files {
            fs::write(self.path.join(&generation).join(name), text).expect("a file can be written");
        }
        self.link(&generation, "..data");
        if number == 0 {
            files.iter().for_each(|(name, _)| self.link(&format!("..data/{name}"), name));
        } else {
            let old = self.path.join(format!("..{}", number - 1));
            fs::remove_dir_all(old).expect("the old folder can be removed");
        }
    }

    /// Puts a link in place at once, also of a file.
    fn link(&self, target: &str, name: &str) {
        let new = self.path.join("..new");
        symlink(target, &new).expect("a link can be made");
        fs::rename(new, self.path.join(name)).expect("a link can be put in place");
    }
}
