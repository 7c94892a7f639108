//! The files that flags name: one that is written may be nobody else's, however its path is spelled.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// The kernel follows no more links either.
const MOST_LINKS: usize = 40;

/// The file of a flag.
#[derive(Debug)]
pub struct FlagFile<'a> {
    flag: &'static str,
    path: &'a Path,
    use_of: Use,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Read,
    Append,
    /// Written beside it, with `.new` behind the name, and put in its place.
    Replace,
}

impl<'a> FlagFile<'a> {
    /// A file that is only read.
    #[must_use]
    pub fn read(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, use_of: Use::Read }
    }

    /// A file that is opened to write more to it.
    #[must_use]
    pub fn appended(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, use_of: Use::Append }
    }

    /// A file that is written anew beside its place, with `.new` behind its name, and put there.
    #[must_use]
    pub fn replaced(flag: &'static str, path: &'a Path) -> Self {
        Self { flag, path, use_of: Use::Replace }
    }

    /// Each path that it takes.
    fn places(&self) -> Vec<Place> {
        let mut places = vec![Place::of(self.path)];
        if self.use_of == Use::Replace {
            let mut temporary = OsString::from(self.path);
            temporary.push(".new");
            places.push(Place::of(Path::new(&temporary)));
        }
        places
    }
}

/// Refuses a file that one flag writes and another one names. Files that are only read may be the same.
///
/// # Errors
/// Names both flags and the file.
pub fn refuse_shared_files(files: &[FlagFile<'_>]) -> anyhow::Result<()> {
    let taken: Vec<_> = files.iter().map(|file| (file, file.places())).collect();
    for (index, (written, places)) in taken.iter().enumerate().filter(|(_, (file, _))| file.use_of != Use::Read) {
        let others = taken.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, (other, theirs)) in others {
            if places.iter().any(|place| theirs.iter().any(|theirs| place.is_one_with(theirs))) {
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

/// What a path means at this moment.
struct Place {
    /// The path without links in its folder, and where it is a link itself, those that it leads to.
    names: Vec<PathBuf>,
    /// Device and inode, where there is a file.
    identity: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        let identity = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let mut names = vec![in_real_folder(path)];
        // A link to nothing counts too: whoever creates the file creates it there.
        while let Some(name) = names.last().filter(|_| names.len() <= MOST_LINKS) {
            let Ok(target) = fs::read_link(name) else { break };
            let next = in_real_folder(&name.parent().unwrap_or(Path::new("/")).join(target));
            names.push(next);
        }
        Self { names, identity }
    }

    fn is_one_with(&self, other: &Self) -> bool {
        let same_file = self.identity.is_some() && self.identity == other.identity;
        same_file || self.names.iter().any(|name| other.names.contains(name))
    }
}

/// A folder that is not there has no other spelling that could be found out.
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
