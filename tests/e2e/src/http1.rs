//! HTTP/1.1 on the wire, for both sides. Not a library's client: tests send what a library would not (bytes that are no text, a header
//! twice, chunks of a chosen size) and must know that nothing normalized it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

mod message;
mod request;
mod tls;

pub use message::{Headers, Response};
pub use request::Request;
pub use tls::TlsConnection;

pub(crate) use message::{ReceivedRequest, read_request, read_response, write_response};

/// No answer takes longer: Envoy's own timeouts are shorter.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A kept-alive connection to a loopback port.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        Self::on(TcpStream::connect(("127.0.0.1", port))?)
    }

    /// Connects as another client than all others, which have 127.0.0.1.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn open_from(client: Ipv4Addr, port: u16) -> io::Result<Self> {
        Self::on(connect_from(client, port)?)
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Sends a request and reads the answer, which may come before the request is sent whole.
    ///
    /// # Errors
    /// When the connection breaks before there is an answer, or what comes is no HTTP.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        let Self { stream, reader } = self;
        thread::scope(|scope| {
            // A server that rejects early stops reading: that the rest cannot be written is no failure if there is an answer.
            let writing = scope.spawn(move || request.write_to(stream));
            let answer = read_response(reader, request.method() == "HEAD");
            let written = writing.join().map_err(|_| io::Error::other("the writing thread panicked"))?;
            answer.map_err(|error| written.err().unwrap_or(error))
        })
    }

    /// Sends these bytes and reads one answer.
    ///
    /// # Errors
    /// When the bytes cannot be sent whole, or the connection breaks before there is an answer.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<Response> {
        self.stream.write_all(bytes)?;
        read_response(&mut self.reader, false)
    }

    /// Sends a request and closes the connection without reading the answer.
    ///
    /// # Errors
    /// When the request cannot be sent whole.
    pub fn abandon(mut self, request: &Request) -> io::Result<()> {
        self.begin(request)
    }

    /// Sends a request; the connection stays open, and its answer unread.
    ///
    /// # Errors
    /// When the request cannot be sent whole.
    pub fn begin(&mut self, request: &Request) -> io::Result<()> {
        request.write_to(&mut self.stream)
    }
}

/// Connects to a loopback port from this address of 127.0.0.0/8.
///
/// # Errors
/// When nothing listens there.
pub fn connect_from(client: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((client, 0).into())?;
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Sends one request on a connection of its own.
///
/// # Panics
/// When there is no answer.
#[track_caller]
pub fn send(port: u16, request: &Request) -> Response {
    Connection::open(port)
        .and_then(|mut connection| connection.send(request))
        .unwrap_or_else(|error| panic!("no answer from port {port}: {error}"))
}

/// Reads up to the empty line that ends a head.
fn read_head(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    const MAX_BYTES: u64 = 64 << 10;
    let mut head = Vec::new();
    let mut bounded = reader.take(MAX_BYTES);
    while !head.ends_with(b"\r\n\r\n") {
        if bounded.read_until(b'\n', &mut head)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended inside a head"));
        }
    }
    Ok(head)
}

fn not_http(error: httparse::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
