//! An upstream that answers every push with 200 at as little cost as possible, so that the machine is left to what is measured.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// It listens until this process ends.
pub(crate) struct Upstream {
    port: u16,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| unreachable!("{error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Ends with the connection.
                thread::spawn(move || serve(stream));
            }
        });
        Self { port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let mut line = String::new();
    loop {
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() { break } else { continue }
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(io::Error::other)?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        // Envoy sends the length that its client has sent.
        if chunked {
            return Err(io::Error::other("a body without a length"));
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
