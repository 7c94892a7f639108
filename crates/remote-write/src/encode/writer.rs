//! A protobuf writer over one buffer. Defaults are left out, as proto3 does; nested messages get their length in front
//! once it is known.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Appends fields to one buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a varint is written in groups of seven bits")]
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.append(bytes);
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    pub(super) fn uint64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
    }

    /// Two's complement, as `int64` and enums are written.
    pub(super) fn int64(&mut self, field: u32, value: i64) {
        self.uint64(field, value.cast_unsigned());
    }

    /// Zigzag, as `sint32` and `sint64` are written.
    pub(super) fn sint64(&mut self, field: u32, value: i64) {
        self.uint64(field, zigzag(value));
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        if value.to_bits() != 0 {
            self.key(field, FIXED64);
            self.append(&value.to_le_bytes());
        }
    }

    pub(super) fn packed_doubles(&mut self, field: u32, values: &[f64]) {
        self.packed(field, values, |writer, value| writer.append(&value.to_le_bytes()));
    }

    pub(super) fn packed_sint64(&mut self, field: u32, values: &[i64]) {
        self.packed(field, values, |writer, value| writer.varint(zigzag(*value)));
    }

    fn packed<T>(&mut self, field: u32, values: &[T], write: impl Fn(&mut Self, &T)) {
        if !values.is_empty() {
            self.nested(field, |writer| values.iter().for_each(|value| write(writer, value)));
        }
    }

    /// Writes a length-delimited field whose content `write` appends.
    pub(super) fn nested(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, BYTES);
        let start = self.buffer.len();
        // Most messages of a push are shorter than 128 bytes: their length fits in the byte that waits for it.
        self.buffer.push(0);
        write(self);
        self.patch_length(start);
    }

    fn patch_length(&mut self, start: usize) {
        let length = self.buffer.len() - start - 1;
        match (u8::try_from(length), self.buffer.get_mut(start)) {
            (Ok(short @ 0..0x80), Some(slot)) => *slot = short,
            _ => self.insert_length(start, length as u64),
        }
    }

    #[cold]
    fn insert_length(&mut self, start: usize, length: u64) {
        let mut prefix = Self::default();
        prefix.varint(length);
        self.buffer.splice(start..=start, prefix.buffer);
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}
