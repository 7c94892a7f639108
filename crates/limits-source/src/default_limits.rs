//! The limits of tenants without an override, from a file that is read once.

use std::io;
use std::path::{Path, PathBuf};

use limits::{Problem, TenantLimits, parse_defaults};
use thiserror::Error;

/// Why there are no limits in a file.
#[derive(Debug, Error)]
pub enum DefaultLimitsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in it is refused; each problem says where and why.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
}

/// Reads a file with a `limits:` block, or a whole Mimir config file; also what was ignored in it.
///
/// # Errors
/// The file cannot be read, or Mimir would refuse what is in it.
pub fn read_default_limits(path: &Path) -> Result<(TenantLimits, Vec<Problem>), DefaultLimitsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| DefaultLimitsError::Unreadable { path: path.to_owned(), source })?;
    let name = path.file_name().map_or(path, Path::new).display().to_string();
    parse_defaults(&name, &text).map_err(DefaultLimitsError::Refused)
}
