use proptest::prelude::*;

use super::*;

const CAP: usize = 100 << 20;

/// What becomes of `body`; and the size to which the buffer grew.
fn run(body: &[u8], max_decoded: usize) -> (Result<Vec<u8>, BodyError>, usize) {
    let mut buffer = Vec::new();
    let decoded = decompress(body, max_decoded, &mut buffer).map(<[u8]>::to_vec);
    (decoded, buffer.len())
}

#[track_caller]
fn check_rejected(body: &[u8], expected: BodyError) {
    assert_eq!(run(body, CAP), (Err(expected), 0), "{body:02x?}");
}

fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = value;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

#[test]
fn rejects_a_preamble_that_is_no_size() {
    check_rejected(b"", BodyError::SnappyLength);
    check_rejected(&[0xff], BodyError::SnappyLength);
    check_rejected(&[0xff; 5], BodyError::SnappyLength);
    check_rejected(&[0xff; 20], BodyError::SnappyLength);
    check_rejected(&varint(1 << 32), BodyError::SnappyLength);
    check_rejected(&varint(u64::MAX), BodyError::SnappyLength);
    let over_64_bits = [[0x80].repeat(9).as_slice(), &[0x02]].concat();
    check_rejected(&over_64_bits, BodyError::SnappyLength);
}

#[test]
fn rejects_a_claim_over_the_cap_before_anything_else() {
    let over = CAP as u64 + 1;
    check_rejected(&varint(over), BodyError::TooLarge { size: over, limit: CAP as u64 });
    let largest = u64::from(u32::MAX);
    check_rejected(&varint(largest), BodyError::TooLarge { size: largest, limit: CAP as u64 });
}

#[test]
fn an_impossible_claimed_length_fails_without_allocation() {
    check_rejected(&varint(CAP as u64), BodyError::SnappyData);
    check_rejected(&[1], BodyError::SnappyData);
    check_rejected(&[[65].as_slice(), &[0; 3]].concat(), BodyError::SnappyData);
}

#[test]
fn rejects_what_is_no_block_of_the_claimed_size() {
    let good = snap::raw::Encoder::new().compress_vec(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    for end in 1..good.len() {
        assert_eq!(run(&good[..end], CAP).0, Err(BodyError::SnappyData), "cut at {end}");
    }
    let longer = [good.as_slice(), &[0x00, b'a']].concat();
    assert_eq!(run(&longer, CAP).0, Err(BodyError::SnappyData));
}

#[test]
fn accepts_up_to_the_cap() {
    let plain = vec![7; 1000];
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(run(&body, 1000).0, Ok(plain));
    assert_eq!(run(&body, 999), (Err(BodyError::TooLarge { size: 1000, limit: 999 }), 0));
}

#[test]
fn accepts_a_body_of_nothing() {
    assert_eq!(run(&[0], CAP), (Ok(vec![]), 0));
}

#[test]
fn a_preamble_may_be_padded_to_five_bytes() {
    assert_eq!(run(&[0x81, 0x80, 0x80, 0x80, 0x00, 0x00, b'a'], CAP).0, Ok(b"a".to_vec()));
    assert_eq!(run(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00, b'a'], CAP).0, Err(BodyError::SnappyData));
}

#[test]
fn a_buffer_never_grows_over_the_cap() {
    let mut buffer = vec![0; 800];
    let body = snap::raw::Encoder::new().compress_vec(&[7; 900]).unwrap();
    decompress(&body, 1000, &mut buffer).unwrap();
    assert!((900..=1000).contains(&buffer.len()), "{}", buffer.len());
}

#[test]
fn copies_with_two_byte_offsets_come_close_to_the_bound() {
    // A literal of one byte, then copies of 64 bytes from one byte back.
    let elements = [[0x00, b'a'].as_slice(), &[0xfe, 0x01, 0x00].repeat(1000)].concat();
    let size = 1 + 64 * 1000;
    let body = [varint(size).as_slice(), &elements].concat();
    assert_eq!(run(&body, CAP).0, Ok(vec![b'a'; size as usize]));
    let slack = max_expansion(elements.len()) - size as usize;
    assert!(slack < 64, "{slack}");
}

/// One element of the format: its bytes, and how much it yields.
fn element() -> impl Strategy<Value = (Vec<u8>, usize)> {
    prop_oneof![
        (1..=60_u8).prop_map(|length| ([vec![(length - 1) << 2], vec![7; length.into()]].concat(), length.into())),
        (61..=200_u8).prop_map(|length| ([vec![60 << 2, length - 1], vec![7; length.into()]].concat(), length.into())),
        (4..=11_u8).prop_map(|length| (vec![1 | (length - 4) << 2, 1], length.into())),
        (1..=64_u8).prop_map(|length| (vec![2 | (length - 1) << 2, 1, 0], length.into())),
        (1..=64_u8).prop_map(|length| (vec![3 | (length - 1) << 2, 1, 0, 0, 0], length.into())),
    ]
}

proptest! {
    #[test]
    fn every_block_is_within_the_bound(elements in prop::collection::vec(element(), 0..200)) {
        // The first copy needs a byte to copy from.
        let mut body = vec![0x00, 7];
        let mut size = 1;
        for (bytes, yielded) in elements {
            body.extend(bytes);
            size += yielded;
        }
        prop_assert!(size <= max_expansion(body.len()));
        let body = [varint(size as u64), body].concat();
        prop_assert_eq!(run(&body, CAP).0, Ok(vec![7; size]));
    }
}

#[test]
fn the_claim_is_known_from_the_first_bytes() {
    let body = snap::raw::Encoder::new().compress_vec(&[7; 1_000_000]).unwrap();
    assert_eq!(claimed_bytes(&body), Some(1_000_000));
    assert_eq!(claimed_bytes(&[0xff, 0xff, 0xff, 0x7f, 0]), None, "so few bytes cannot hold that");
    assert_eq!(claimed_bytes(&[0x00]), Some(0));
    assert_eq!(claimed_bytes(&[0x80]), None);
    assert_eq!(claimed_bytes(&[]), None);
}
