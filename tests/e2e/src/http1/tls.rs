//! The same messages through TLS, for servers that speak nothing else.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use super::message::{Response, read_response};
use super::{Request, TIMEOUT};
use crate::tls_client::TlsClient;

/// A kept-alive connection to a server on a loopback port.
#[derive(Debug)]
pub struct TlsConnection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl TlsConnection {
    /// Connects; who the server is shows with the first request.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn open(port: u16, client: &TlsClient) -> io::Result<Self> {
        let (session, socket) = client.session(port)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(StreamOwned::new(session, socket)) })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks before there is an answer, what comes is no HTTP, or the server is not trusted.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        request.write_to(self.stream.get_mut())?;
        self.stream.get_mut().flush()?;
        read_response(&mut self.stream, request.method() == "HEAD")
    }
}
