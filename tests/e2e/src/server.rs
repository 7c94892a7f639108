//! A small HTTP/1.1 server: one thread a connection, one handler for all.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::http1::{ReceivedRequest, read_request, write_response};

/// Headers and body of a 200.
pub(crate) type Answer = (Vec<(&'static str, String)>, Vec<u8>);

/// What becomes of a request.
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Vec<u8>,
    },
    /// The connection ends.
    CloseConnection,
    /// Nothing comes.
    NoAnswer,
}

impl From<Answer> for Reply {
    fn from((headers, body): Answer) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        Self::Answer { status: 200, headers, body }
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start<R: Into<Reply>>(handler: impl Fn(ReceivedRequest) -> R + Send + Sync + 'static) -> Self {
        Self::start_on(0, handler)
    }

    /// On a port of its own choice where it is 0.
    pub(crate) fn start_on<R: Into<Reply>>(
        port: u16,
        handler: impl Fn(ReceivedRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a loopback port can be bound");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (stopping, handler) = (Arc::new(AtomicBool::new(false)), Arc::new(handler));
        let stop = Arc::clone(&stopping);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let handler = Arc::clone(&handler);
                // Ends when the client closes its connection, which it does when it is stopped.
                thread::spawn(move || serve(stream, handler.as_ref()));
            }
        });
        Self { port, stopping, accepting: Some(accepting) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

fn serve<R: Into<Reply>>(stream: TcpStream, handler: &impl Fn(ReceivedRequest) -> R) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        match handler(read_request(&mut reader)?).into() {
            Reply::Answer { status, headers, body } => write_response(&mut writer, status, &headers, &body)?,
            Reply::CloseConnection => return Ok(()),
            // Until the client ends the connection, or sends another request.
            Reply::NoAnswer => {}
        }
    }
}
