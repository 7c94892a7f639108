//! The walker against full decoding with prost and Mimir's rules over what was decoded: the same verdict on every input,
//! and the same counts.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use limits::TenantLimits;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use remote_write::encode::encode_push;
use remote_write::{BodyError, BodyLimits, Contents, Protocol, PushCounts, Scratch};

mod decoded;
mod mutate;
mod pushes;
mod reference;
mod schema;
mod series;
mod tenants;
mod treatment;
mod validity;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };

/// A little after the samples of the pushes.
const NOW: i64 = 1_700_000_060_000;

/// What full decoding says about a compressed body.
fn expected(protocol: Protocol, body: &[u8], limits: &TenantLimits) -> Option<reference::Expected> {
    reference::read(protocol, &decompress(body)?, limits, NOW)
}

fn decompress(body: &[u8]) -> Option<Vec<u8>> {
    let claimed = snap::raw::decompress_len(body).ok()?;
    let too_large = claimed > LIMITS.max_decoded_bytes;
    if too_large || body.is_empty() { None } else { snap::raw::Decoder::new().decompress_vec(body).ok() }
}

fn compress(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

/// Compares both verdicts; the counts if the push is accepted.
#[track_caller]
fn check(protocol: Protocol, body: &[u8], limits: &TenantLimits, scratch: &mut Scratch) -> Option<PushCounts> {
    let actual = treatment::read(protocol, body, (LIMITS, limits, None), NOW, scratch);
    for enough in [0, 3] {
        let early = treatment::read(protocol, body, (LIMITS, limits, Some(enough)), NOW, scratch);
        check_early(enough, early, actual.as_ref());
    }
    let expected = expected(protocol, body, limits);
    let mixes_groups_up = |plain: Vec<u8>| reference::mixes_groups_up(protocol, &plain, limits);
    if actual.is_ok() && expected.is_none() && decompress(body).is_some_and(mixes_groups_up) {
        return None;
    }
    let is_as_expected = match (&actual, &expected) {
        (Ok(actual), Some(expected)) => expected.agree(actual),
        (actual, expected) => actual.is_err() && expected.is_none(),
    };
    assert!(is_as_expected, "{protocol:?} {limits:?} {actual:?}, expected {expected:?} {body:02x?}");
    expected.map(|expected| expected.counts)
}

/// Compares reading until `enough` items are valid with reading all: the same error, and the same counts or those of the push as sent.
#[track_caller]
fn check_early(enough: u64, early: Result<PushCounts, BodyError>, whole: Result<&PushCounts, &BodyError>) {
    match (early, whole) {
        (Ok(early), Ok(whole)) if early.is_enough => {
            let Contents { samples, histograms, exemplars, metadata } = whole.sent;
            let as_sent = PushCounts { samples, histograms, exemplars, metadata, is_enough: true, ..*whole };
            let as_sent = PushCounts { unmetered: None, doubtful: early.doubtful, ..as_sent };
            assert_eq!(early, as_sent, "of {whole:?}");
            let valid = whole.samples + whole.histograms + whole.metadata;
            assert!(valid > enough && valid <= early.items(), "{early:?} of {whole:?}");
        }
        (Ok(early), Ok(whole)) => {
            assert_eq!(&early, whole);
            let valid = whole.samples + whole.histograms + whole.metadata;
            assert!(valid <= enough || whole.unmetered.is_some(), "{whole:?} has more than {enough} valid items");
        }
        (early, whole) => assert_eq!(early.as_ref().err(), whole.err()),
    }
}

#[track_caller]
fn check_everywhere(plain: &[u8]) {
    let body = compress(plain);
    for protocol in [Protocol::V1, Protocol::V2] {
        for limits in tenants::all() {
            check(protocol, &body, &limits, &mut Scratch::default());
        }
    }
}

#[test]
fn valid_pushes_are_counted_as_prost_counts_them() {
    for (protocol, plain) in pushes::plain() {
        let counts = check(protocol, &compress(&plain), &tenants::storing_exemplars(), &mut Scratch::default());
        assert!(counts.is_some(), "{protocol:?} {plain:02x?}");
        check_everywhere(&plain);
    }
}

#[test]
fn every_truncation_gets_the_verdict_of_prost() {
    for (_, plain) in pushes::plain() {
        (0..plain.len()).for_each(|end| check_everywhere(&plain[..end]));
    }
}

/// How the mutated pushes fared.
#[derive(Debug, Default)]
struct Tally {
    past_snappy: u32,
    accepted: u32,
    rejected_as_protobuf: u32,
}

#[test]
fn a_hundred_thousand_mutations_get_the_verdict_of_prost() {
    const MUTATIONS: u32 = 100_000;
    let pushes = pushes::plain();
    let tenants = tenants::all();
    let mut random = StdRng::seed_from_u64(0x5eed);
    let mut scratch = Scratch::default();
    let mut tally = Tally::default();
    for _ in 0..MUTATIONS {
        let (protocol, plain) = &pushes[random.random_range(0..pushes.len())];
        let body = mutated(plain, &mut random);
        let limits = &tenants[random.random_range(0..tenants.len())];
        let accepted = check(*protocol, &body, limits, &mut scratch).is_some();
        let past_snappy = decompress(&body).is_some();
        tally.past_snappy += u32::from(past_snappy);
        tally.accepted += u32::from(accepted);
        tally.rejected_as_protobuf += u32::from(past_snappy && !accepted);
    }
    assert!(tally.past_snappy >= MUTATIONS / 2, "{tally:?}");
    assert!(tally.accepted >= MUTATIONS / 10 && tally.rejected_as_protobuf >= MUTATIONS / 10, "{tally:?}");
}

/// Four times of five the push is changed before compression, else after it.
fn mutated(plain: &[u8], random: &mut StdRng) -> Vec<u8> {
    if random.random_bool(0.8) {
        let mut plain = plain.to_vec();
        mutate::mutate(&mut plain, random);
        compress(&plain)
    } else {
        let mut body = compress(plain);
        mutate::mutate(&mut body, random);
        body
    }
}

/// Bytes out of which messages, groups, packed fields and long varints come about by chance.
fn wire_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(vec![0x0a_u8, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42, 0x4a, 0x52]),
        2 => prop::sample::select(vec![0x08_u8, 0x10, 0x18, 0x20, 0x28, 0x30, 0x0b, 0x0c, 0x1b, 0x1c, 0x09, 0x0d]),
        4 => 0_u8..8,
        1 => prop::sample::select(vec![0x80_u8, 0xff, 0x7f, 0x81]),
    ];
    prop::collection::vec(byte, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn wire_like_bytes_get_the_verdict_of_prost(plain in wire_like_bytes()) {
        check_everywhere(&plain);
    }

    #[test]
    fn bytes_after_a_symbol_table_match_prost(series in wire_like_bytes()) {
        let mut plain = b"\x22\x00\x22\x08__name__\x22\x05h_sum\x2a".to_vec();
        plain.push(series.len() as u8);
        plain.extend(series);
        check_everywhere(&plain);
    }

    #[test]
    fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        check(Protocol::V1, &body, &tenants::storing_exemplars(), &mut Scratch::default());
        check(Protocol::V2, &body, &tenants::storing_exemplars(), &mut Scratch::default());
    }
}

#[test]
fn unknown_groups_nest_as_deep_as_prost_allows() {
    for depth in 90..=110 {
        let start = [0x3b_u8].repeat(depth);
        let end = [0x3c_u8].repeat(depth);
        let groups = [start, end].concat();
        check_everywhere(&groups);
        let mut series = vec![0x0a, u8::try_from(groups.len()).unwrap_or_default(), 0x00];
        series[1] |= 0x80;
        series[2] = (groups.len() >> 7) as u8;
        series.extend(&groups);
        check_everywhere(&series);
        series[0] = 0x2a;
        check_everywhere(&series);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn series_of_all_kinds_are_judged_as_over_decoded_structs(
        series in prop::collection::vec(series::any(), 0..6),
        metadata in prop::collection::vec(series::metadata(), 0..3),
        limits in tenants::any(),
    ) {
        // One scratch for both pushes: what it remembers must not matter.
        let mut scratch = Scratch::default();
        for protocol in [Protocol::V1, Protocol::V2] {
            let body = encode_push(protocol, &series, &metadata).unwrap();
            let counts = check(protocol, &body, &limits, &mut scratch);
            prop_assert!(counts.is_some());
        }
    }
}

#[test]
fn what_is_generated_is_often_valid_and_often_not() {
    let mut runner = TestRunner::deterministic();
    let (mut valid, mut dropped) = (0, 0);
    for _ in 0..500 {
        let series = series::any().new_tree(&mut runner).unwrap().current();
        let limits = tenants::any().new_tree(&mut runner).unwrap().current();
        let body = encode_push(Protocol::V1, &[series], &[]).unwrap();
        let counts = check(Protocol::V1, &body, &limits, &mut Scratch::default()).unwrap();
        valid += u32::from(counts.samples + counts.histograms > 0);
        dropped += u32::from(counts.samples + counts.histograms < counts.sent.samples + counts.sent.histograms);
    }
    assert!(valid >= 100 && dropped >= 100, "{valid} with something valid, {dropped} with something dropped");
}
