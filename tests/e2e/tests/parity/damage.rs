//! Corrupt bodies: no pushes, or other pushes than the sender meant.

use remote_write::Protocol;

use crate::random::Random;

/// Bytes that mean much on the wire: keys, short lengths, ends and continuations of varints.
const TELLING: [u8; 12] = [0x00, 0x01, 0x07, 0x08, 0x0a, 0x0b, 0x12, 0x1a, 0x2a, 0x7f, 0x80, 0xff];

pub(crate) fn compressed(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("a test's push is below 4 GiB")
}

/// A push, damaged before its compression or after it.
pub(crate) fn damaged(random: &mut Random, protocol: Protocol, mut plain: Vec<u8>) -> Vec<u8> {
    if random.percent(60) {
        damage_message(random, protocol, &mut plain);
        return compressed(&plain);
    }
    let mut body = compressed(&plain);
    match random.number(0, 6) {
        0 => body.clear(),
        1 => return plain,
        2 => body.truncate(random.count(0, body.len())),
        3 => body.extend_from_slice(b"more"),
        // What it claims to decompress to: 4 GiB less one, more than 32 bits, and a little over Mimir's bound of 100 MiB.
        4 => drop(body.splice(
            0..1,
            random.one(&[&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff; 9], &[0x81, 0x80, 0x80, 0x32]]).iter().copied(),
        )),
        5 => (0..body.len()).for_each(|at| body[at] = random.byte()),
        _ => mutate(random, &mut body),
    }
    body
}

fn damage_message(random: &mut Random, protocol: Protocol, plain: &mut Vec<u8>) {
    let series_key = if protocol == Protocol::V1 { 0x0a } else { 0x2a };
    match random.number(0, 9) {
        // Fields of Mimir's own, which clients must not set: who sent it, and that labels are not to be checked.
        0 => plain.extend_from_slice(random.one(&[&[0x10, 0x01][..], &[0xc0, 0x3e, 0x01], &[0xc8, 0x3e, 0x01]])),
        // Unknown fields, one of them a group.
        1 => plain.extend_from_slice(random.one(&[&[0x7a, 0x02, 0x08, 0x01][..], &[0x7b, 0x7c], &[0x7d, 0, 0, 0, 0]])),
        // A series without anything in it, or one that is said to be longer than the message.
        2 => plain.extend_from_slice(&[series_key, 0]),
        3 => plain.extend_from_slice(&[series_key, 9]),
        4 => plain.extend_from_within(..),
        5 => plain.truncate(random.count(0, plain.len())),
        _ => (0..random.count(1, 3)).for_each(|_| mutate(random, plain)),
    }
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.count(0, bytes.len() - 1);
    let end = random.count(at + 1, bytes.len().min(at + 8));
    match random.number(0, 6) {
        0 => bytes[at] ^= 1 << random.number(0, 7),
        1 => bytes[at] = random.of_values(&TELLING),
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes[at] = random.byte(),
        4 => bytes.insert(at, random.of_values(&TELLING)),
        5 => drop(bytes.drain(at..end)),
        _ => bytes.extend_from_within(at..end),
    }
}
