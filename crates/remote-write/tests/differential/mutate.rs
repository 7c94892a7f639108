//! Changes to bytes of the kind that break or bend a format: bits, lengths, cuts, copies.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// Bytes that mean something on the wire: keys, lengths, ends of varints.
const TELLING: [u8; 20] = [
    0x00, 0x01, 0x02, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3d, 0x7f, 0x80, 0x81, 0xfe,
    0xff,
];

/// Changes `bytes` in one to four places.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..=4) {
        mutate_once(bytes, random);
    }
}

fn mutate_once(bytes: &mut Vec<u8>, random: &mut StdRng) {
    if bytes.is_empty() {
        bytes.push(TELLING[random.random_range(0..TELLING.len())]);
        return;
    }
    let at = random.random_range(0..bytes.len());
    let end = (at + random.random_range(1..=24)).min(bytes.len());
    match random.random_range(0..10) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = TELLING[random.random_range(0..TELLING.len())],
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes[at] = bytes[at].wrapping_sub(1),
        4 => bytes[at] = (random.next_u32() & 0xff) as u8,
        5 => bytes.insert(at, TELLING[random.random_range(0..TELLING.len())]),
        6 => drop(bytes.drain(at..end)),
        7 => bytes.truncate(at),
        8 => bytes.extend_from_within(at..end),
        _ => {
            let copy = bytes[at..end].to_vec();
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}
