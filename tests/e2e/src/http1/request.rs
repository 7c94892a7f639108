//! A request as bytes.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// What a test sends: nothing is added but `Host`, and the length or the chunks of the body.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    /// Shared by clones: a test may hold many requests with one large body.
    body: Arc<[u8]>,
    chunk_bytes: Option<usize>,
}

impl Request {
    /// A request without a body. The target is sent as it is.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: Arc::new([]), chunk_bytes: None }
    }

    /// Adds a header line, also if there is one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = Arc::from(body);
        self
    }

    /// Sends the body in chunks of this size, without its length.
    #[must_use]
    pub fn chunked(mut self, chunk_bytes: usize) -> Self {
        self.chunk_bytes = Some(chunk_bytes.max(1));
        self
    }

    /// The request as it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        drop(self.write_to(&mut bytes));
        bytes
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn write_to(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: edge\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        match self.chunk_bytes {
            Some(chunk_bytes) => {
                head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                stream.write_all(&with_chunks(head, &self.body, chunk_bytes))
            }
            // A small request is one packet.
            None if self.body.len() <= 64 << 10 => {
                write!(head, "Content-Length: {}\r\n\r\n", self.body.len())?;
                head.extend_from_slice(&self.body);
                stream.write_all(&head)
            }
            None => {
                write!(head, "Content-Length: {}\r\n\r\n", self.body.len())?;
                stream.write_all(&head)?;
                stream.write_all(&self.body)
            }
        }
    }
}

impl fmt::Display for Request {
    /// The head, and the body if it is short.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 1_000;
        write!(formatter, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(formatter, " {name}: {}", value.escape_ascii())?;
        }
        match self.body.len() {
            bytes @ ..=SHOWN_BYTES => write!(formatter, " and {bytes} bytes: {}", self.body.escape_ascii()),
            bytes => write!(formatter, " and {bytes} bytes"),
        }
    }
}

fn with_chunks(mut bytes: Vec<u8>, body: &[u8], chunk_bytes: usize) -> Vec<u8> {
    for chunk in body.chunks(chunk_bytes) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
