//! A smaller document that the two readers still differ about.

/// Leaves out lines, then bytes, as long as `differs` holds, which it calls at most `tries` times.
pub(crate) fn shrink(document: &[u8], mut tries: u32, mut differs: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = document.to_vec();
    for by_line in [true, false] {
        let mut size = pieces(&best, by_line).len().div_ceil(2);
        while size > 0 && tries > 0 {
            let mut start = 0;
            while tries > 0 {
                let pieces = pieces(&best, by_line);
                if start >= pieces.len() {
                    break;
                }
                let end = (start + size).min(pieces.len());
                let smaller = [pieces[..start].concat(), pieces[end..].concat()].concat();
                tries -= 1;
                if differs(&smaller) {
                    best = smaller;
                } else {
                    start = end;
                }
            }
            size /= 2;
        }
    }
    best
}

fn pieces(document: &[u8], by_line: bool) -> Vec<&[u8]> {
    if by_line { document.split_inclusive(|byte| *byte == b'\n').collect() } else { document.chunks(1).collect() }
}
