//! Reading requests and responses, and writing the responses of servers.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write};

use super::{not_http, read_head};

const MAX_HEADERS: usize = 128;

/// Header lines in their order. Names are compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    fn of(parsed: &[httparse::Header<'_>]) -> Self {
        Self(parsed.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect())
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header, as text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.all(name).next().map(String::from_utf8_lossy)
    }

    /// All lines, the names in lower case.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// All names, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn read_body(&self, reader: &mut impl BufRead, without_length: WithoutLength) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            while let length @ 1.. = read_chunk_size(reader)? {
                reader.take(length).read_to_end(&mut body)?;
                read_line(reader)?;
            }
            read_line(reader)?;
        } else if let Some(length) = self.get("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            if reader.take(length).read_to_end(&mut body)? as u64 != length {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended inside a body"));
            }
        } else if without_length == WithoutLength::ToTheEnd {
            reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }
}

/// How long a body is whose length no header says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WithoutLength {
    Empty,
    ToTheEnd,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// Why mimir-rls denied the push.
    #[must_use]
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        self.headers.get("x-mimir-edge-reason")
    }
}

pub(crate) fn read_response(reader: &mut impl BufRead, to_head: bool) -> io::Result<Response> {
    loop {
        let head = read_head(reader)?;
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut lines);
        parsed.parse(&head).map_err(not_http)?;
        let headers = Headers::of(parsed.headers);
        let status = parsed.code.unwrap_or_default();
        if status >= 200 {
            let bodiless = to_head || matches!(status, 204 | 304);
            let body = if bodiless { Vec::new() } else { headers.read_body(reader, WithoutLength::ToTheEnd)? };
            return Ok(Response { status, headers, body });
        }
    }
}

pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<ReceivedRequest> {
    let head = read_head(reader)?;
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut lines);
    parsed.parse(&head).map_err(not_http)?;
    let headers = Headers::of(parsed.headers);
    let (method, target) = (parsed.method.unwrap_or_default().to_owned(), parsed.path.unwrap_or_default().to_owned());
    let body = headers.read_body(reader, WithoutLength::Empty)?;
    Ok(ReceivedRequest { method, target, headers, body })
}

pub(crate) fn write_response(
    writer: &mut impl Write,
    status: u16,
    headers: &[(impl AsRef<str>, impl AsRef<[u8]>)],
    body: &[u8],
) -> io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {status} {}\r\n", if status == 200 { "OK" } else { "Other" }).into_bytes();
    for (name, value) in headers {
        write!(bytes, "{}: ", name.as_ref())?;
        bytes.extend_from_slice(value.as_ref());
        bytes.extend_from_slice(b"\r\n");
    }
    write!(bytes, "Content-Length: {}\r\n\r\n", body.len())?;
    bytes.extend_from_slice(body);
    writer.write_all(&bytes)
}

fn read_chunk_size(reader: &mut impl BufRead) -> io::Result<u64> {
    let line = read_line(reader)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(size, 16).map_err(io::Error::other)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line)
}
