//! Snappy's block format. The claimed size is checked before it is allocated.

use crate::error::BodyError;

/// A growing buffer is allocated larger than needed, up to this size in bytes.
pub(crate) const MAX_SLACK_BYTES: usize = 1 << 20;

/// Decompresses `body` into `buffer` and returns the decompressed part of it.
///
/// `buffer` grows as needed, at most to `max_decoded` bytes or the most that a body of this length can decompress to.
pub(crate) fn decompress<'b>(body: &[u8], max_decoded: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BodyError> {
    let (claimed, elements) = preamble(body).ok_or(BodyError::SnappyLength)?;
    let size = claimed_size(claimed, elements.len(), max_decoded)?;
    if buffer.len() < size {
        // A new zeroed buffer: the old content is not needed, and zeroed pages are free.
        let with_slack = buffer.len().saturating_add(buffer.len() / 2).min(max_decoded).min(MAX_SLACK_BYTES);
        *buffer = Vec::new();
        *buffer = vec![0; size.max(with_slack)];
    }
    let decoded = buffer.get_mut(..size).ok_or(BodyError::SnappyData)?;
    snap::raw::Decoder::new().decompress(body, decoded).map_err(|_| BodyError::SnappyData)?;
    Ok(decoded)
}

/// The decompressed size that a body claims in its first bytes, as a measure of the work of reading it; `None` if the claim is
/// invalid, or larger than a body of this length can decompress to, so that it is rejected without that work.
#[must_use]
pub fn claimed_bytes(body: &[u8]) -> Option<usize> {
    let (claimed, elements) = preamble(body)?;
    usize::try_from(claimed).ok().filter(|claimed| *claimed <= max_expansion(elements.len()))
}

/// The claimed size and the bytes after it; `None` if it is no varint of 32 bits.
///
/// Decoded as Go's `binary.Uvarint` does, with up to ten bytes, so that errors have Mimir's text. The decompressor takes at
/// most five, which is what compressors write; more padding is corrupt here.
fn preamble(body: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in body.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if *byte < 0x80 {
            let value = u32::try_from(value).ok()?;
            return body.get(index + 1..).map(|elements| (value, elements));
        }
    }
    None
}

/// The claimed size, if it is within the cap and `elements` compressed bytes can decompress to it.
fn claimed_size(claimed: u32, elements: usize, max_decoded: usize) -> Result<usize, BodyError> {
    let size = usize::try_from(claimed).unwrap_or(usize::MAX);
    if size > max_decoded {
        return Err(BodyError::TooLarge { size: u64::from(claimed), limit: max_decoded as u64 });
    }
    if size > max_expansion(elements) {
        return Err(BodyError::SnappyData);
    }
    Ok(size)
}

/// The most that `elements` compressed bytes decompress to.
///
/// The best ratio is that of a copy with a two-byte offset: 3 bytes for up to 64. A copy with a one-byte offset is 2 bytes
/// for up to 11, one with a four-byte offset 5 bytes for up to 64, and a literal is longer than its content.
fn max_expansion(elements: usize) -> usize {
    elements.saturating_mul(64) / 3
}

#[cfg(test)]
mod tests;
