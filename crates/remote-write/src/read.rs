//! From the body of a push to its counts.

use crate::error::BodyError;
use crate::scratch::Scratch;
use crate::{Protocol, PushCounts, snappy, v1, v2};

/// Bounds of a body, whatever the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Largest decompressed size in bytes; Mimir's `distributor.max_recv_msg_size`.
    pub max_decoded_bytes: usize,
}

/// Whether exemplars matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exemplars {
    /// The tenant stores none: Mimir does not even unmarshal them, and reports that 0 were written. They are passed over
    /// by their length and count 0.
    Skip,
    /// The tenant stores exemplars: they are checked and counted.
    Read,
}

/// Decompresses the body of a push, walks it and counts what Mimir would charge for it.
///
/// `body` is the push as it came: snappy's block format, whatever `Content-Encoding` says, since Mimir does not look at
/// that. Strings need not be UTF-8; Mimir judges that later.
///
/// # Errors
/// What Mimir answers 400 to before it looks at any series; the `Display` of the error is Mimir's text. Where several
/// things are wrong, the first one in the body is told.
pub fn read_push(
    protocol: Protocol,
    body: &[u8],
    limits: BodyLimits,
    exemplars: Exemplars,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let Scratch { decoded, symbols, families } = scratch;
    let decoded = snappy::decompress(body, limits.max_decoded_bytes, decoded)?;
    let counts = match protocol {
        Protocol::V1 => v1::read(decoded, exemplars)?,
        Protocol::V2 => v2::read(decoded, exemplars, symbols, families)?,
    };
    Ok(PushCounts { decoded_bytes: decoded.len() as u64, ..counts })
}
