//! Files that are named on the command line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file, or of standard input for `-`.
///
/// # Errors
/// It cannot be read, or has more than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let one_more = most.saturating_add(1);
    let length = match path == Path::new("-") {
        true => io::stdin().lock().take(one_more).read_to_end(&mut bytes),
        false => File::open(path)?.take(one_more).read_to_end(&mut bytes),
    }?;
    match u64::try_from(length) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(io::Error::other(format!("it has more than the {most} bytes that are read"))),
    }
}
