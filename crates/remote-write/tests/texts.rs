//! The texts of rejections, each with a body that gets it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use limits::TenantLimits;
use remote_write::Protocol::{self, V1, V2};
use remote_write::{BodyErrorKind, BodyLimits, Scratch, Validation, read_push};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1000 };

fn storing_exemplars() -> Validation {
    Validation::new(&TenantLimits { max_global_exemplars_per_user: 1, ..TenantLimits::default() })
}

#[track_caller]
fn check_body(protocol: Protocol, body: &[u8], kind: BodyErrorKind, text: &str) {
    let error = read_push(protocol, body, LIMITS, &storing_exemplars(), 0, &mut Scratch::default()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, text), "{body:02x?}");
}

/// A push whose decompressed bytes are `plain`.
#[track_caller]
fn check(protocol: Protocol, plain: &[u8], text: &str) {
    let body = snap::raw::Encoder::new().compress_vec(plain).unwrap();
    check_body(protocol, &body, BodyErrorKind::Protobuf, text);
}

/// A 2.0 push with three symbols and one series that holds `series`.
#[track_caller]
fn check_series(series: &[u8], text: &str) {
    let length = u8::try_from(series.len()).unwrap();
    check(V2, &[b"\x22\x00\x22\x01a\x22\x01b\x2a", [length].as_slice(), series].concat(), text);
}

#[test]
fn kinds_have_their_labels() {
    assert_eq!(BodyErrorKind::ALL.map(BodyErrorKind::as_str), ["too_large", "snappy", "protobuf"]);
}

#[test]
fn too_large() {
    let text = "the incoming push request has been rejected because its message size of 1001 bytes (uncompressed) is larger \
                than the allowed limit of 1000 bytes (err-mimir-distributor-max-write-message-size). To adjust the \
                related limit, configure -distributor.max-recv-msg-size, or contact your service administrator.";
    check_body(V1, &[0xe9, 0x07, 0x00], BodyErrorKind::TooLarge, text);
}

#[test]
fn broken_compression() {
    let snappy = BodyErrorKind::Snappy;
    check_body(V1, b"", snappy, "getting snappy decoded length: snappy: corrupt input");
    check_body(V2, &[0xff; 6], snappy, "getting snappy decoded length: snappy: corrupt input");
    check_body(V1, &[0x03, 0x00], snappy, "decompress snappy: snappy: corrupt input");
    check_body(V2, &[0x00, 0x00, 0x61], snappy, "decompress snappy: snappy: corrupt input");
}

#[test]
fn broken_messages() {
    check(V1, &[0x0a], "unexpected EOF");
    check(V1, &[0x0a, 0x05, 0x0a], "unexpected EOF");
    check(V2, &[0x22, 0x01], "unexpected EOF");
    check(V1, &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "proto: integer overflow");
    check(V1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "proto: integer overflow");
    let sample_with_time_over_64_bits =
        [&[0x0a, 0x16, 0x12, 0x14, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10], [0xff; 9].as_slice(), &[2]];
    check(V1, &sample_with_time_over_64_bits.concat(), "proto: integer overflow");
    check(V1, &[0x02, 0x00], "proto: WriteRequest: illegal tag 0 (wire type 2)");
    check(V1, &[0x0a, 0x01, 0x00], "proto: TimeSeries: illegal tag 0 (wire type 0)");
    check(V1, &[0x3e], "proto: illegal wireType 6");
    check(V1, &[0x3c], "proto: unexpected end of group");
    check(V1, &[0x3b].repeat(101), "proto: groups are nested too deep");
}

#[test]
fn fields_of_the_other_protocol() {
    check(V1, &[0x22, 0x00], "proto: Remote Write 2.0 field Symbols in non-Remote Write 2.0 message");
    check(V1, &[0x2a, 0x00], "proto: Remote Write 2.0 field Timeseries in non-Remote Write 2.0 message");
    check(V2, &[0x0a, 0x00], "proto: Remote Write 1.0 field Timeseries in non-Remote Write 1.0 message");
    check(V2, &[0x1a, 0x00], "proto: Remote Write 1.0 field Metadata in non-Remote Write 1.0 message");
}

#[test]
fn wrong_wire_types_of_a_push() {
    check(V1, &[0x0b, 0x01], "proto: wrong wireType = 3 for field Timeseries");
    check(V1, &[0x15, 0, 0, 0, 0], "proto: wrong wireType = 5 for field Source");
    check(V1, &[0x18, 0x00], "proto: wrong wireType = 0 for field Metadata");
    check(V1, &[0xc2, 0x3e, 0x00], "proto: wrong wireType = 2 for field SkipLabelValidation");
    check(V1, &[0xca, 0x3e, 0x00], "proto: wrong wireType = 2 for field SkipLabelCountValidation");
    check(V2, &[0x20, 0x00], "proto: wrong wireType = 0 for field SymbolsRW2");
    check(V2, &[0x28, 0x00], "proto: wrong wireType = 0 for field TimeseriesRW2");
}

#[test]
fn wrong_wire_types_of_a_1_0_series() {
    let rows: [(&[u8], &str); 5] = [
        (&[0x08, 0x00], "proto: wrong wireType = 0 for field Labels"),
        (&[0x10, 0x00], "proto: wrong wireType = 0 for field Samples"),
        (&[0x18, 0x00], "proto: wrong wireType = 0 for field Exemplars"),
        (&[0x20, 0x00], "proto: wrong wireType = 0 for field Histograms"),
        (&[0x32, 0x00], "proto: wrong wireType = 2 for field CreatedTimestamp"),
    ];
    for (series, text) in rows {
        check(V1, &[&[0x0a, 0x02], series].concat(), text);
    }
}

#[test]
fn wrong_wire_types_inside_a_1_0_series() {
    // A field of a series, the field inside it, written as a group, and the name of that.
    let rows: [(u8, &[(u8, &str)]); 4] = [
        (1, &[(1, "Name"), (2, "Value")]),
        (2, &[(1, "Value"), (2, "TimestampMs")]),
        (3, &[(1, "Labels"), (2, "Value"), (3, "TimestampMs")]),
        (
            4,
            &[
                (1, "CountInt"),
                (2, "CountFloat"),
                (3, "Sum"),
                (4, "Schema"),
                (5, "ZeroThreshold"),
                (6, "ZeroCountInt"),
                (7, "ZeroCountFloat"),
                (8, "NegativeSpans"),
                (9, "NegativeDeltas"),
                (10, "NegativeCounts"),
                (11, "PositiveSpans"),
                (12, "PositiveDeltas"),
                (13, "PositiveCounts"),
                (14, "ResetHint"),
                (15, "Timestamp"),
            ],
        ),
    ];
    for (message, fields) in rows {
        for (field, name) in fields {
            let plain = [0x0a, 0x03, message << 3 | 2, 0x01, field << 3 | 3];
            check(V1, &plain, &format!("proto: wrong wireType = 3 for field {name}"));
        }
    }
    check(V1, &[0x0a, 0x04, 0x22, 0x02, 0x83, 0x01], "proto: wrong wireType = 3 for field CustomValues");
}

#[test]
fn wrong_wire_types_of_1_0_metadata_and_spans() {
    for (field, name) in [(1, "Type"), (2, "MetricFamilyName"), (4, "Help"), (5, "Unit")] {
        check(V1, &[0x1a, 0x01, field << 3 | 3], &format!("proto: wrong wireType = 3 for field {name}"));
    }
    for spans in [0x42, 0x5a] {
        check(V1, &[0x0a, 0x05, 0x22, 0x03, spans, 0x01, 0x0b], "proto: wrong wireType = 3 for field Offset");
        check(V1, &[0x0a, 0x05, 0x22, 0x03, spans, 0x01, 0x13], "proto: wrong wireType = 3 for field Length");
    }
}

#[test]
fn wrong_wire_types_of_a_2_0_series() {
    check_series(&[0x0b], "proto: wrong wireType = 3 for field LabelsRefs");
    check_series(&[0x10, 0x00], "proto: wrong wireType = 0 for field Samples");
    check_series(&[0x18, 0x00], "proto: wrong wireType = 0 for field Histograms");
    check_series(&[0x20, 0x00], "proto: wrong wireType = 0 for field Exemplars");
    check_series(&[0x28, 0x00], "proto: wrong wireType = 0 for field Metadata");
    check_series(&[0x32, 0x00], "proto: wrong wireType = 2 for field CreatedTimestamp");
    check_series(&[0x12, 0x01, 0x1b], "proto: wrong wireType = 3 for field StartTimestamp");
    check_series(&[0x1a, 0x02, 0x8b, 0x01], "proto: wrong wireType = 3 for field StartTimestamp");
    check_series(&[0x22, 0x01, 0x0b], "proto: wrong wireType = 3 for field LabelsRefs");
    check_series(&[0x22, 0x01, 0x1b], "proto: wrong wireType = 3 for field Timestamp");
    check_series(&[0x2a, 0x01, 0x0b], "proto: wrong wireType = 3 for field Type");
    check_series(&[0x2a, 0x01, 0x1b], "proto: wrong wireType = 3 for field HelpRef");
    check_series(&[0x2a, 0x01, 0x23], "proto: wrong wireType = 3 for field UnitRef");
}

#[test]
fn references() {
    check_series(&[0x0a, 0x01, 0x01], "proto: Remote Write 2.0 odd number of label references");
    check_series(&[0x0a, 0x02, 0x01, 0x03], "proto: Remote Write 2.0 invalid label reference");
    check_series(&[0x22, 0x03, 0x0a, 0x01, 0x01], "proto: Remote Write 2.0 odd number of exemplar label references");
    check_series(&[0x22, 0x04, 0x0a, 0x02, 0x03, 0x01], "proto: Remote Write 2.0 invalid exemplar label reference");
    check_series(&[0x2a, 0x02, 0x18, 0x03], "proto: Remote Write 2.0 invalid help reference");
    check_series(&[0x2a, 0x02, 0x20, 0x03], "proto: Remote Write 2.0 invalid unit reference");
}

#[test]
fn the_first_symbol_is_empty() {
    check(V2, b"\x22\x01a\x22\x00", "proto: Remote Write 2.0 symbols must start with empty string");
}

#[test]
fn a_symbol_after_its_series_does_not_count() {
    let plain = b"\x22\x00\x2a\x04\x0a\x02\x00\x01\x22\x01a";
    check(V2, plain, "proto: Remote Write 2.0 invalid label reference");
}

#[test]
fn skipped_exemplars_may_hold_anything() {
    let plain = [0x0a, 0x03, 0x1a, 0x01, 0x0b];
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    let skipping = Validation::new(&TenantLimits::default());
    let skip = read_push(V1, &body, LIMITS, &skipping, 0, &mut Scratch::default()).unwrap();
    assert_eq!((skip.series, skip.sent.exemplars), (1, 0));
    check(V1, &plain, "proto: wrong wireType = 3 for field Labels");
}
