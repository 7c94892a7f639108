//! Comparisons for short texts, made for every label of a push: a library call takes longer than the work itself.

/// The high bit of each of eight bytes.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether the texts are the same. Two references of 2.0 to one symbol need no look at the bytes.
#[inline]
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    if std::ptr::eq(left, right) || left.len() != right.len() {
        return left.len() == right.len();
    }
    let (Some(left_end), Some(right_end)) = (left.last_chunk(), right.last_chunk()) else {
        return left.iter().zip(right).all(|(left, right)| left == right);
    };
    let mut words = left.chunks_exact(8).zip(right.chunks_exact(8));
    word(left_end) == word(right_end) && words.all(|(left, right)| left == right)
}

/// Whether all bytes are ASCII.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    let Some(end) = text.last_chunk() else {
        return text.iter().fold(0, |bits, byte| bits | byte) < 0x80;
    };
    let words = text.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok());
    words.fold(word(end), |bits, chunk: &[u8; 8]| bits | word(chunk)) & HIGH_BITS == 0
}

#[inline]
fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_ne_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(is_ascii(&text) && is_same(&text, &text.clone()));
            assert!(!is_same(&text, &vec![b'a'; length + 1]));
            for at in 0..length {
                let mut other = text.clone();
                other[at] = 0x80;
                assert!(!is_ascii(&other) && !is_same(&text, &other), "{at} of {length}");
            }
        }
    }
}
