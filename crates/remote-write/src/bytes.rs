//! Comparisons for short texts, made for every label of a push: a library call takes longer than the work itself.

/// The high bit of each of sixteen bytes.
const HIGH_BITS: u128 = u128::from_ne_bytes([0x80; 16]);

/// Whether the texts are the same. Two references of 2.0 to one symbol need no look at the bytes.
#[inline]
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && (std::ptr::eq(left, right) || have_same_bytes(left, right))
}

/// The same for texts of one length. Their ends are compared by words that overlap.
#[inline]
fn have_same_bytes(left: &[u8], right: &[u8]) -> bool {
    if let (Some(left_end), Some(right_end)) = (left.last_chunk(), right.last_chunk()) {
        let mut words = left.as_chunks().0.iter().zip(right.as_chunks().0);
        return word(left_end) == word(right_end) && words.all(|(left, right)| word(left) == word(right));
    }
    match (left.first_chunk::<8>(), right.first_chunk::<8>()) {
        (Some(left_start), Some(right_start)) => {
            left_start == right_start && left.last_chunk::<8>() == right.last_chunk::<8>()
        }
        _ => left.iter().zip(right).all(|(left, right)| left == right),
    }
}

/// Whether all bytes are ASCII.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    let bits = match (text.last_chunk(), text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(end), ..) => text.as_chunks().0.iter().fold(word(end), |bits, chunk| bits | word(chunk)),
        (None, Some(start), Some(end)) => u128::from(u64::from_ne_bytes(*start) | u64::from_ne_bytes(*end)),
        _ => u128::from(text.iter().fold(0, |bits, byte| bits | byte)),
    };
    bits & HIGH_BITS == 0
}

#[inline]
fn word(bytes: &[u8; 16]) -> u128 {
    u128::from_ne_bytes(*bytes)
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
