//! Whether a file changed, from its metadata alone, whichever way it was changed.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Identity and times of the file that a path leads to in the end.
///
/// Symbolic links are followed, so swapping a link (as Kubernetes does with `..data`) changes the inode; a rename changes the inode; a write in place changes the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            // Reading a pipe or a device can wait for ever.
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
