//! Snappy's block format, with the claimed size checked before a byte is allocated for it.

use crate::error::BodyError;

/// A buffer that grows has room for more than is needed now, up to so many bytes.
pub(crate) const ROOMY_BYTES: usize = 1 << 20;

/// Decompresses `body` into `buffer` and returns the decompressed part of it.
///
/// `buffer` grows to what is needed, never over `max_decoded` bytes nor over what a body of this length can hold.
pub(crate) fn decompress<'b>(body: &[u8], max_decoded: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], BodyError> {
    let (claimed, elements) = preamble(body).ok_or(BodyError::SnappyLength)?;
    let size = claimed_size(claimed, elements.len(), max_decoded)?;
    if buffer.len() < size {
        // A fresh zeroed buffer: the old content is of no use, and the system gives zeroed pages for nothing.
        let roomy = buffer.len().saturating_add(buffer.len() / 2).min(max_decoded).min(ROOMY_BYTES);
        *buffer = Vec::new();
        *buffer = vec![0; size.max(roomy)];
    }
    let decoded = buffer.get_mut(..size).ok_or(BodyError::SnappyData)?;
    snap::raw::Decoder::new().decompress(body, decoded).map_err(|_| BodyError::SnappyData)?;
    Ok(decoded)
}

/// How many bytes a body says it decompresses to, which may be far more than it has; `None` if it does not say.
///
/// It is the work of reading it, known from its first bytes. What a body claims beyond what so few bytes can hold is refused
/// without that work.
#[must_use]
pub fn claimed_bytes(body: &[u8]) -> Option<usize> {
    let (claimed, elements) = preamble(body)?;
    usize::try_from(claimed).ok().filter(|claimed| *claimed <= max_expansion(elements.len()))
}

/// The size that the preamble claims and what follows it; `None` if it is no varint of at most 32 bits.
///
/// Read as Go's `binary.Uvarint` reads it: up to ten bytes, so that a body gets the text that Mimir gives it. The
/// decompressor then takes no more than five, which is what compressors write; padding beyond that is corrupt here.
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

/// The claim, if it is within the cap and `elements` compressed bytes can make so much.
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

/// What `elements` compressed bytes decompress to at most.
///
/// Per byte nothing in the format yields more than a copy with a two-byte offset: 3 bytes for up to 64. A copy with a
/// one-byte offset is 2 bytes for up to 11, one with a four-byte offset 5 bytes for up to 64, and a literal yields less
/// than it takes.
fn max_expansion(elements: usize) -> usize {
    elements.saturating_mul(64) / 3
}

#[cfg(test)]
mod tests;
