use super::*;

fn cursor(bytes: &[u8]) -> Cursor<'_> {
    Cursor::new(bytes, "Test")
}

#[track_caller]
fn check_varint(bytes: &[u8], expected: Result<u64, ProtobufError>) {
    assert_eq!(cursor(bytes).varint(), expected, "{bytes:02x?}");
}

#[test]
fn reads_varints_of_up_to_64_bits() {
    check_varint(&[0x00], Ok(0));
    check_varint(&[0x7f], Ok(127));
    check_varint(&[0x80, 0x01], Ok(128));
    check_varint(&[0x80, 0x00], Ok(0));
    check_varint(&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u64::from(u32::MAX)));
    check_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Ok(u64::MAX));
}

#[test]
fn rejects_varints_that_end_early_or_are_too_long() {
    check_varint(&[], Err(ProtobufError::UnexpectedEof));
    check_varint(&[0x80], Err(ProtobufError::UnexpectedEof));
    check_varint(&[0xff; 9], Err(ProtobufError::UnexpectedEof));
    check_varint(&[0xff; 10], Err(ProtobufError::IntegerOverflow));
    check_varint(&[0xff; 11], Err(ProtobufError::IntegerOverflow));
    let tenth_byte_over = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
    check_varint(&tenth_byte_over, Err(ProtobufError::IntegerOverflow));
}

#[track_caller]
fn check_key(bytes: &[u8], expected: Result<(u32, u32), ProtobufError>) {
    assert_eq!(cursor(bytes).key().map(|key| (key.field(), key.wire_type())), expected, "{bytes:02x?}");
}

#[test]
fn reads_keys_of_up_to_32_bits() {
    check_key(&[0x08], Ok((1, wire_type::VARINT)));
    check_key(&[0x09], Ok((1, wire_type::FIXED64)));
    check_key(&[0x0a], Ok((1, wire_type::BYTES)));
    check_key(&[0x0b], Ok((1, wire_type::START_GROUP)));
    check_key(&[0x0c], Ok((1, wire_type::END_GROUP)));
    check_key(&[0x0d], Ok((1, wire_type::FIXED32)));
    check_key(&[0xff, 0xff, 0xff, 0xff, 0x0d], Err(ProtobufError::IllegalWireType(7)));
    check_key(&[0xfa, 0xff, 0xff, 0xff, 0x0f], Ok(((1 << 29) - 1, wire_type::BYTES)));
    check_key(&[0xfa, 0xff, 0xff, 0xff, 0x1f], Err(ProtobufError::IntegerOverflow));
}

#[test]
fn rejects_keys_without_field_or_wire_type() {
    check_key(&[0x02], Err(ProtobufError::IllegalTag { message: "Test", wire_type: 2 }));
    check_key(&[0x0e], Err(ProtobufError::IllegalWireType(6)));
    check_key(&[0x0f], Err(ProtobufError::IllegalWireType(7)));
}

#[track_caller]
fn check_skip(bytes: &[u8], expected: Result<usize, ProtobufError>) {
    let mut cursor = cursor(bytes);
    let skipped = cursor.key().and_then(|key| cursor.skip(key));
    assert_eq!(skipped.map(|()| cursor.rest().len()), expected, "{bytes:02x?}");
}

#[test]
fn passes_over_values_of_every_wire_type() {
    check_skip(&[0x08, 0x80, 0x01, 0xaa], Ok(1));
    check_skip(&[0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0xaa], Ok(1));
    check_skip(&[0x0a, 2, 1, 2, 0xaa], Ok(1));
    check_skip(&[0x0d, 1, 2, 3, 4, 0xaa], Ok(1));
    check_skip(&[0x0b, 0x10, 7, 0x13, 0x14, 0x0c, 0xaa], Ok(1));
}

#[test]
fn rejects_values_that_go_on_behind_the_end() {
    for bytes in [&[0x08][..], &[0x09, 1, 2, 3, 4, 5, 6, 7], &[0x0a, 2, 1], &[0x0d, 1, 2, 3], &[0x0b], &[0x0b, 0x10, 7]]
    {
        check_skip(bytes, Err(ProtobufError::UnexpectedEof));
    }
    let length_of_64_bits = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    check_skip(&length_of_64_bits, Err(ProtobufError::UnexpectedEof));
}

/// A group end without a beginning is an error.
#[test]
fn any_group_end_closes_the_innermost_group() {
    check_skip(&[0x0c], Err(ProtobufError::UnexpectedEndOfGroup));
    check_skip(&[0x0b, 0x14], Ok(0));
    check_skip(&[0x0b, 0x13, 0x0c, 0x14, 0x0c], Ok(1));
    check_skip(&[0x0b, 0x14, 0x0c, 0x0c], Ok(2));
}

#[test]
fn rejects_groups_nested_deeper_than_the_bound() {
    let groups = |depth: usize| [[0x0b].repeat(depth), [0x0c].repeat(depth)].concat();
    check_skip(&groups(100), Ok(0));
    check_skip(&groups(101), Err(ProtobufError::NestedTooDeep));
    check_skip(&[0x0b].repeat(1_000_000), Err(ProtobufError::NestedTooDeep));
}

#[test]
fn a_nested_message_ends_where_its_length_says() {
    let bytes = [0x0a, 0x02, 0x08, 0x01, 0x10, 0x05];
    let mut outer = cursor(&bytes);
    let key = outer.next_key().unwrap().unwrap();
    let mut inner = outer.nested(key, "Inner", "Inner").unwrap();
    let key = inner.next_key().unwrap().unwrap();
    assert_eq!(inner.integer(key, "Number"), Ok(1));
    assert!(inner.next_key().unwrap().is_none());
    let key = outer.next_key().unwrap().unwrap();
    assert_eq!(outer.integer(key, "Number"), Ok(5));
}

#[test]
fn reads_repeated_integers_single_and_packed() {
    let bytes = [0x08, 0x05, 0x0a, 0x03, 0x06, 0x80, 0x01, 0x0a, 0x00, 0x08, 0x07];
    let mut cursor = cursor(&bytes);
    let mut values = Vec::new();
    while let Some(key) = cursor.next_key().unwrap() {
        let keep = |value| {
            values.push(value);
            Ok(())
        };
        cursor.repeated_integers(key, "Numbers", keep).unwrap();
    }
    assert_eq!(values, [5, 6, 128, 7]);
}

#[test]
fn names_the_field_of_a_wrong_wire_type() {
    let mut cursor = cursor(&[0x0d, 1, 2, 3, 4]);
    let key = cursor.next_key().unwrap().unwrap();
    let wrong = ProtobufError::WrongWireType { wire_type: 5, field: "Number" };
    assert_eq!(cursor.integer(key, "Number"), Err(wrong.clone()));
    assert_eq!(cursor.double(key, "Number"), Err(wrong.clone()));
    assert_eq!(cursor.bytes(key, "Number"), Err(wrong.clone()));
    assert_eq!(cursor.repeated_doubles(key, "Number"), Err(wrong.clone()));
    assert_eq!(cursor.repeated_integers(key, "Number", |_| Ok(())), Err(wrong));
}
