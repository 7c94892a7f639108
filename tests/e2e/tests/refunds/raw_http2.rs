//! An HTTP/2 client that sends what no library would: pseudo-headers that do not exist, trailers of any name, a reset after the body.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;

/// How a push ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer with headers came.
    Answered,
    /// The server reset the stream, or ended the connection.
    Refused,
}

/// A connection with one push on it.
pub(crate) struct Push {
    stream: TcpStream,
}

impl Push {
    /// Sends a push of a tenant with more header lines, a body, and trailers if there are some.
    pub(crate) fn send(
        port: u16,
        headers: &[(&str, &str)],
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        let mut bytes = PREFACE.to_vec();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        let of_a_push = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/api/v1/push"),
            (":authority", "edge"),
            ("x-scope-orgid", "t"),
        ];
        // Pseudo-headers come first.
        let (pseudo, others): (Vec<_>, Vec<_>) =
            of_a_push.iter().chain(headers).partition(|(name, _)| name.starts_with(':'));
        frame(&mut bytes, HEADERS, END_HEADERS, 1, &block(pseudo.into_iter().chain(others)));
        frame(&mut bytes, DATA, if trailers.is_empty() { END_STREAM } else { 0 }, 1, body);
        if !trailers.is_empty() {
            frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers));
        }
        stream.write_all(&bytes)?;
        Ok(Self { stream })
    }

    /// Takes the push back.
    pub(crate) fn reset(mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame(&mut bytes, RST_STREAM, 0, 1, &CANCEL.to_be_bytes());
        self.stream.write_all(&bytes)
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> io::Result<End> {
        loop {
            let mut head = [0; 9];
            match self.stream.read_exact(&mut head) {
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    return Ok(End::Refused);
                }
                read => read?,
            }
            let [a, b, c, kind, flags, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload)?;
            match kind {
                HEADERS => return Ok(End::Answered),
                RST_STREAM | GOAWAY => return Ok(End::Refused),
                SETTINGS if flags & ACK == 0 => {
                    let mut bytes = Vec::new();
                    frame(&mut bytes, SETTINGS, ACK, 0, &[]);
                    self.stream.write_all(&bytes)?;
                }
                _ => {}
            }
        }
    }
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend_from_slice(length.get(1..).unwrap_or_default());
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Header lines as literals that no table knows, with lengths below 127 (RFC 7541, 6.2.2).
fn block<'h>(lines: impl IntoIterator<Item = &'h (&'h str, &'h str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap_or(u8::MAX).min(126));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
