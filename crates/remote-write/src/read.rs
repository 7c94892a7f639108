//! From the body of a push to its counts.

use crate::error::BodyError;
use crate::judge::Judge;
use crate::scratch::Scratch;
use crate::{Protocol, PushCounts, Validation, snappy, v1, v2};

/// Bounds of a body, whatever the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Largest decompressed size in bytes; Mimir's `distributor.max_recv_msg_size`.
    pub max_decoded_bytes: usize,
}

/// Decompresses the body of a push, walks it and counts what Mimir would charge for it.
///
/// `body` is the push as it came: snappy's block format, whatever `Content-Encoding` says, since Mimir does not look at
/// that. `now` is in Unix milliseconds: how old samples may be, and how far in the future, is reckoned from it. What
/// `validation` finds invalid is no error: it is only not counted.
///
/// # Errors
/// What Mimir answers 400 to before it looks at any series; the `Display` of the error is Mimir's text. Where several
/// things are wrong, the first one in the body is told.
pub fn read_push(
    protocol: Protocol,
    body: &[u8],
    limits: BodyLimits,
    validation: &Validation,
    now: i64,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let Scratch { decoded, symbols, families, judge } = scratch;
    let decoded = snappy::decompress(body, limits.max_decoded_bytes, decoded)?;
    let mut judge = Judge::new(validation, protocol, now, judge);
    let walked = match protocol {
        Protocol::V1 => v1::read(decoded, &mut judge),
        Protocol::V2 => v2::read(decoded, symbols, families, &mut judge),
    };
    // Also after an error: it holds buffers that are to come back.
    let counts = judge.finish();
    walked?;
    Ok(PushCounts { decoded_bytes: decoded.len() as u64, ..counts })
}
