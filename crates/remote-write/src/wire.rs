//! The protobuf wire format: a cursor over borrowed bytes.
//!
//! It accepts what full protobuf decoding accepts (prost is the yardstick): varints of at most ten bytes and 64 bits, keys
//! of at most 32 bits, field numbers from 1, packed and single scalars alike, groups in unknown fields up to a depth of
//! [`DEPTH`] levels. A cursor never reads behind the end of its message.

use crate::bytes::is_same;
use crate::error::ProtobufError;

/// How deep messages and groups may nest; prost's recursion limit.
const DEPTH: u32 = 100;

/// Wire types.
mod wire_type {
    pub(super) const VARINT: u32 = 0;
    pub(super) const FIXED64: u32 = 1;
    pub(super) const BYTES: u32 = 2;
    pub(super) const START_GROUP: u32 = 3;
    pub(super) const END_GROUP: u32 = 4;
    pub(super) const FIXED32: u32 = 5;
}

/// A field's key: a field number of at least 1 and a wire type of at most 5, as encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

impl Key {
    #[inline]
    pub(crate) fn field(self) -> u32 {
        self.0 >> 3
    }

    #[inline]
    fn wire_type(self) -> u32 {
        self.0 & 7
    }

    #[inline]
    fn expect(self, wire_type: u32, field: &'static str) -> Result<(), ProtobufError> {
        if self.wire_type() == wire_type { Ok(()) } else { Err(self.wrong(field)) }
    }

    #[cold]
    fn wrong(self, field: &'static str) -> ProtobufError {
        ProtobufError::WrongWireType { wire_type: self.wire_type(), field }
    }
}

/// Reads one message from front to back.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// The Go name of the message, for errors.
    message: &'static str,
    /// How many levels may still be nested in this message.
    depth: u32,
}

impl<'a> Cursor<'a> {
    /// A cursor over the outermost message.
    pub(crate) fn new(bytes: &'a [u8], message: &'static str) -> Self {
        Self { rest: bytes, message, depth: DEPTH }
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips `field`, a whole field as encoded, if the next one is written the same; false if it is not.
    #[inline]
    pub(crate) fn skip_same(&mut self, field: &[u8]) -> bool {
        match self.rest.split_at_checked(field.len()) {
            Some((next, rest)) if is_same(next, field) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// What `parse` makes of the next field, which is then read: if its key is this byte, and its content shorter than 128 bytes.
    #[inline]
    pub(crate) fn short<T>(&mut self, key: u8, parse: impl FnOnce(&'a [u8]) -> Option<T>) -> Option<T> {
        let (content, rest) = short_field(self.rest, key)?;
        let parsed = parse(content)?;
        self.rest = rest;
        Some(parsed)
    }

    /// Skips all fields like that which `passes` accepts, up to the next other one.
    #[inline]
    pub(crate) fn skip_all_short(&mut self, key: u8, passes: impl Fn(&'a [u8]) -> bool) {
        // Not by `short`, so that the rest stays in registers.
        let mut unread = self.rest;
        while let Some((content, rest)) = short_field(unread, key)
            && passes(content)
        {
            unread = rest;
        }
        self.rest = unread;
    }

    /// The next key, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Result<Option<Key>, ProtobufError> {
        if self.rest.is_empty() { Ok(None) } else { self.key().map(Some) }
    }

    #[inline]
    fn key(&mut self) -> Result<Key, ProtobufError> {
        let key = u32::try_from(self.varint()?).map_err(|_| ProtobufError::IntegerOverflow)?;
        if key >> 3 != 0 && key & 7 <= wire_type::FIXED32 { Ok(Key(key)) } else { Err(illegal_key(key, self.message)) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let (value, rest) = match self.rest {
            [byte @ 0..0x80, rest @ ..] => (u64::from(*byte), rest),
            [low, high @ 0..0x80, rest @ ..] => (u64::from(*low & 0x7f) | u64::from(*high) << 7, rest),
            rest => long_varint(rest)?,
        };
        self.rest = rest;
        Ok(value)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], ProtobufError> {
        let length = usize::try_from(length).map_err(|_| ProtobufError::UnexpectedEof)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::UnexpectedEof)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn payload(&mut self) -> Result<&'a [u8], ProtobufError> {
        let length = self.varint()?;
        self.take(length)
    }

    /// The content of a `string`, `bytes` or message field.
    #[inline]
    pub(crate) fn bytes(&mut self, key: Key, field: &'static str) -> Result<&'a [u8], ProtobufError> {
        key.expect(wire_type::BYTES, field)?;
        self.payload()
    }

    /// A cursor over a nested message.
    #[inline]
    pub(crate) fn nested(
        &mut self,
        key: Key,
        field: &'static str,
        message: &'static str,
    ) -> Result<Cursor<'a>, ProtobufError> {
        let bytes = self.bytes(key, field)?;
        Ok(Cursor { rest: bytes, message, depth: self.depth.saturating_sub(1) })
    }

    /// A varint: an integer of any kind, a `bool` or an enum.
    #[inline]
    pub(crate) fn integer(&mut self, key: Key, field: &'static str) -> Result<u64, ProtobufError> {
        key.expect(wire_type::VARINT, field)?;
        self.varint()
    }

    /// A `sint32`: protobuf uses only the low 32 bits of the varint.
    #[expect(clippy::cast_possible_truncation, reason = "protobuf truncates a sint32 field")]
    pub(crate) fn signed(&mut self, key: Key, field: &'static str) -> Result<i32, ProtobufError> {
        let zigzag = self.integer(key, field)? as u32;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    /// A `double`, whose value is not needed.
    #[inline]
    pub(crate) fn double(&mut self, key: Key, field: &'static str) -> Result<(), ProtobufError> {
        key.expect(wire_type::FIXED64, field)?;
        self.take(8).map(drop)
    }

    /// One occurrence of a repeated integer field, single or packed: calls `each` with every value.
    #[inline]
    pub(crate) fn repeated_integers(
        &mut self,
        key: Key,
        field: &'static str,
        mut each: impl FnMut(u64) -> Result<(), ProtobufError>,
    ) -> Result<(), ProtobufError> {
        let values = match key.wire_type() {
            wire_type::VARINT => {
                let from = self.rest;
                self.varint()?;
                from.get(..from.len() - self.rest.len()).unwrap_or_default()
            }
            wire_type::BYTES => self.payload()?,
            _ => return Err(key.wrong(field)),
        };
        // One loop for both, so that `each` is inlined.
        let mut values = Cursor { rest: values, ..*self };
        while !values.rest.is_empty() {
            each(values.varint()?)?;
        }
        Ok(())
    }

    /// The number of values in one occurrence of a repeated `double` field, single or packed.
    #[inline]
    pub(crate) fn repeated_doubles(&mut self, key: Key, field: &'static str) -> Result<usize, ProtobufError> {
        match key.wire_type() {
            wire_type::FIXED64 => self.take(8).map(|_| 1),
            wire_type::BYTES => match self.payload()?.len() {
                bytes if bytes.is_multiple_of(8) => Ok(bytes / 8),
                _ => Err(ProtobufError::UnexpectedEof),
            },
            _ => Err(key.wrong(field)),
        }
    }

    /// Skips the value of an unknown field.
    pub(crate) fn skip(&mut self, key: Key) -> Result<(), ProtobufError> {
        self.rest = self.clone().after_value(key)?.rest;
        Ok(())
    }

    /// This cursor after the value of `key`.
    fn after_value(mut self, key: Key) -> Result<Self, ProtobufError> {
        if self.depth == 0 {
            return Err(ProtobufError::NestedTooDeep);
        }
        match key.wire_type() {
            wire_type::VARINT => self.varint().map(drop)?,
            wire_type::FIXED64 => self.take(8).map(drop)?,
            wire_type::FIXED32 => self.take(4).map(drop)?,
            wire_type::BYTES => self.payload().map(drop)?,
            wire_type::START_GROUP => return self.after_group(),
            _ => return Err(ProtobufError::UnexpectedEndOfGroup),
        }
        Ok(self)
    }

    /// This cursor after the end of the open group. As in Go, any end of a group ends the innermost one, whatever its number
    /// (`skipMimir` in Mimir's `pkg/mimirpb`).
    fn after_group(mut self) -> Result<Self, ProtobufError> {
        let depth = self.depth;
        loop {
            self.depth = depth;
            let key = self.key()?;
            if key.wire_type() == wire_type::END_GROUP {
                return Ok(self);
            }
            self = Self { depth: depth - 1, ..self }.after_value(key)?;
        }
    }
}

/// The content of the first field, if its key is this byte and its length below 128, and what follows it.
#[inline]
fn short_field(bytes: &[u8], key: u8) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length @ 0..0x80, rest @ ..] if *first == key => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// A varint of any length, and what follows it. Not a method, so that the cursor stays in registers.
#[inline(never)]
fn long_varint(mut rest: &[u8]) -> Result<(u64, &[u8]), ProtobufError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(ProtobufError::UnexpectedEof)?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            // The tenth byte has room for one bit.
            let fits = shift < 63 || *byte < 2;
            return if fits { Ok((value, rest)) } else { Err(ProtobufError::IntegerOverflow) };
        }
    }
    Err(ProtobufError::IntegerOverflow)
}

#[cold]
fn illegal_key(key: u32, message: &'static str) -> ProtobufError {
    match key & 7 {
        wire_type @ 0..=wire_type::FIXED32 => ProtobufError::IllegalTag { message, wire_type },
        wire_type => ProtobufError::IllegalWireType(wire_type),
    }
}

#[cfg(test)]
mod tests;
