//! HTTP/2 on the wire, for clients: tests send frames that no library sends.

use std::io::{self, Read};

/// What a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// HPACK: the newest entry of the dynamic table.
const NEWEST: u8 = 0x80 | 62;

/// The bytes of a connection, as they are built.
#[derive(Clone, Debug)]
pub struct Http2Bytes(Vec<u8>);

impl Http2Bytes {
    /// The preface and these settings, each of six bytes.
    #[must_use]
    pub fn new(settings: &[u8]) -> Self {
        let begun = Self(PREFACE.to_vec());
        begun.frame(SETTINGS, 0, 0, settings)
    }

    /// More frames of a connection that has begun.
    #[must_use]
    pub fn frames() -> Self {
        Self(Vec::new())
    }

    /// Adds header lines, all of them literal, and with them the stream's end if it has no body.
    #[must_use]
    pub fn headers(self, stream: u32, lines: &[(&str, &[u8])], ends: bool) -> Self {
        self.head(stream, lines, &[], ends)
    }

    /// Adds header lines, and then a line of `value` so often, for one byte each but the first time on a connection.
    #[must_use]
    pub fn repeating(self, stream: u32, lines: &[(&str, &[u8])], value: Option<&str>, times: usize) -> Self {
        let mut repeated = Vec::new();
        if let Some(value) = value {
            repeated.push(0x40);
            repeated.extend(text(b"x"));
            repeated.extend(text(value.as_bytes()));
        }
        repeated.extend(std::iter::repeat_n(NEWEST, times));
        self.head(stream, lines, &repeated, false)
    }

    /// Adds a part of a body.
    #[must_use]
    pub fn data(self, stream: u32, bytes: &[u8], ends: bool) -> Self {
        self.frame(DATA, if ends { END_STREAM } else { 0 }, stream, bytes)
    }

    /// Cancels a stream.
    #[must_use]
    pub fn reset(self, stream: u32) -> Self {
        self.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    }

    /// All bytes so far.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    fn head(self, stream: u32, lines: &[(&str, &[u8])], more: &[u8], ends: bool) -> Self {
        let mut block = Vec::new();
        for (name, value) in lines {
            block.push(0);
            block.extend(text(name.as_bytes()));
            block.extend(text(value));
        }
        block.extend_from_slice(more);
        self.frame(HEADERS, END_HEADERS | if ends { END_STREAM } else { 0 }, stream, &block)
    }

    fn frame(mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
        self.0.extend(length.iter().skip(1));
        self.0.extend([kind, flags]);
        self.0.extend(stream.to_be_bytes());
        self.0.extend_from_slice(payload);
        self
    }
}

/// A text without Huffman coding.
fn text(value: &[u8]) -> Vec<u8> {
    let mut bytes = match value.len() {
        short @ 0..127 => vec![short as u8],
        long => {
            let mut rest = long - 127;
            let mut bytes = vec![127];
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
            bytes
        }
    };
    bytes.extend_from_slice(value);
    bytes
}

/// How a server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// A response with headers came.
    Answered,
    /// The server reset the stream, or ended the connection.
    Reset,
}

/// Reads until the response to the only stream of a connection begins, or the server ends it.
///
/// # Errors
/// When nothing comes for the connection's read timeout.
pub fn read_stream_end(reader: &mut impl Read) -> io::Result<StreamEnd> {
    loop {
        match read_frame(reader)? {
            Some(Frame { kind: HEADERS, .. }) => return Ok(StreamEnd::Answered),
            Some(Frame { kind: RST_STREAM | GOAWAY, .. }) | None => return Ok(StreamEnd::Reset),
            Some(_) => {}
        }
    }
}

/// Reads until so many streams have ended, or the connection has.
///
/// # Errors
/// When nothing comes for the connection's read timeout.
pub fn read_to_end_of_streams(reader: &mut impl Read, streams: usize) -> io::Result<()> {
    let mut ended = 0;
    while ended < streams {
        match read_frame(reader)? {
            Some(Frame { kind: GOAWAY, .. }) | None => return Ok(()),
            Some(Frame { kind: RST_STREAM, .. }) => ended += 1,
            Some(Frame { kind: DATA | HEADERS, flags }) if flags & END_STREAM != 0 => ended += 1,
            Some(_) => {}
        }
    }
    Ok(())
}

/// The head of a frame.
struct Frame {
    kind: u8,
    flags: u8,
}

/// The next frame, with its payload skipped; `None` when the server has ended the connection.
fn read_frame(reader: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; 9];
    if let Err(error) = reader.read_exact(&mut head) {
        let closed = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        return if closed { Ok(None) } else { Err(error) };
    }
    let [a, b, c, kind, flags, ..] = head;
    let length = u64::from(u32::from_be_bytes([0, a, b, c]));
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(Some(Frame { kind, flags }))
}
