//! A push over HTTP/2 that no library would send: pseudo-headers that do not exist, trailers of any name, a reset after the body.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Http2Bytes, StreamEnd, read_stream_end};

/// The only stream of a connection.
const STREAM: u32 = 1;
const OF_A_PUSH: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/api/v1/push"),
    (":authority", "edge"),
    ("x-scope-orgid", "t"),
];

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
        // Pseudo-headers come first.
        let (pseudo, others): (Vec<_>, Vec<_>) =
            OF_A_PUSH.iter().chain(headers).partition(|(name, _)| name.starts_with(':'));
        let head = lines(pseudo.into_iter().chain(others));
        let bytes = Http2Bytes::new(&[]).headers(STREAM, &head, false).data(STREAM, body, trailers.is_empty());
        let bytes = if trailers.is_empty() { bytes } else { bytes.headers(STREAM, &lines(trailers), true) };
        stream.write_all(&bytes.bytes())?;
        Ok(Self { stream })
    }

    /// Takes the push back.
    pub(crate) fn reset(mut self) -> io::Result<()> {
        self.stream.write_all(&Http2Bytes::frames().reset(STREAM).bytes())
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> io::Result<StreamEnd> {
        read_stream_end(&mut self.stream)
    }
}

fn lines<'h>(lines: impl IntoIterator<Item = &'h (&'h str, &'h str)>) -> Vec<(&'h str, &'h [u8])> {
    lines.into_iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}
