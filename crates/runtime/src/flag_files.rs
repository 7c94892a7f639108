//! The files that flags name. A file that one flag writes must not be named by another flag, however its path is spelled.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// As many symbolic links as the kernel follows.
const MAX_LINKS: usize = 40;

/// The file of a flag.
#[derive(Debug)]
pub struct FlagFile<'a> {
    flag: &'static str,
    path: &'a Path,
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Append,
    Replace,
}

impl<'a> FlagFile<'a> {
    /// A file that is only read.
    #[must_use]
    pub fn read(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, access: Access::Read }
    }

    /// A file that is appended to.
    #[must_use]
    pub fn appended(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, access: Access::Append }
    }

    /// A file that is replaced: the new content is written to its path with `.new` appended, and renamed.
    #[must_use]
    pub fn replaced(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, access: Access::Replace }
    }

    /// Every path that the flag uses.
    fn places(&self) -> Vec<Place> {
        let mut places = vec![Place::of(self.path)];
        if self.access == Access::Replace {
            let mut temporary = OsString::from(self.path);
            temporary.push(".new");
            places.push(Place::of(Path::new(&temporary)));
        }
        places
    }
}

/// Rejects a file that one flag writes and another flag names. Several flags may read one file.
///
/// # Errors
/// Names both flags and the file.
pub fn reject_shared_files(files: &[FlagFile<'_>]) -> anyhow::Result<()> {
    let taken: Vec<_> = files.iter().map(|file| (file, file.places())).collect();
    for (index, (written, places)) in taken.iter().enumerate().filter(|(_, (file, _))| file.access != Access::Read) {
        let others = taken.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, (other, theirs)) in others {
            if places.iter().any(|place| theirs.iter().any(|theirs| place.is_same_as(theirs))) {
                let (flag, path) = (written.flag, written.path.display());
                bail!(
                    "{flag} {path} writes to {}, which {} names; give {flag} a file of its own",
                    other.path.display(),
                    other.flag
                );
            }
        }
    }
    Ok(())
}

/// The file that a path leads to now.
struct Place {
    /// The path with the links in its folder resolved, and if it is a link itself, each path that it leads to.
    names: Vec<PathBuf>,
    /// Device and inode, where there is a file.
    identity: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        let identity = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let mut names = vec![in_real_folder(path)];
        // A dangling link counts too: a file that is created through it is created at its target.
        while let Some(name) = names.last().filter(|_| names.len() <= MAX_LINKS) {
            let Ok(target) = fs::read_link(name) else { break };
            let next = in_real_folder(&name.parent().unwrap_or(Path::new("/")).join(target));
            names.push(next);
        }
        Self { names, identity }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let same_file = self.identity.is_some() && self.identity == other.identity;
        same_file || self.names.iter().any(|name| other.names.contains(name))
    }
}

/// The path with the links in its folder resolved; as it is written where the folder does not exist.
fn in_real_folder(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (real, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests;
