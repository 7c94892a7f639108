//! What stands in front of Mimir, or in its place, and can be told to fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http1::{Connection, ReceivedRequest, Request};
use crate::server::{Reply, Server};

/// What becomes of the requests that reach a [`Gate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// They go on to this loopback port, and the answer comes back; 502 if there is none.
    To(u16),
    /// Each gets an answer of this status without a body.
    Answer(u16),
    /// The connection ends without an answer.
    HangUp,
    /// Nothing comes.
    Silence,
}

/// A server between an edge and Mimir. It goes on until it is dropped.
#[derive(Debug)]
pub struct Gate {
    server: Server,
    door: Arc<Mutex<Door>>,
    received: Arc<AtomicUsize>,
}

impl Gate {
    /// Starts one on a free loopback port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(door: Door) -> Self {
        let door = Arc::new(Mutex::new(door));
        let received = Arc::new(AtomicUsize::new(0));
        let (now, counted) = (Arc::clone(&door), Arc::clone(&received));
        let server = Server::start(move |request| {
            let door = *now.lock().unwrap_or_else(PoisonError::into_inner);
            counted.fetch_add(1, Ordering::Relaxed);
            match door {
                Door::To(port) => forward(request, port),
                Door::Answer(status) => Reply::Answer { status, headers: Vec::new(), body: Vec::new() },
                Door::HangUp => Reply::HangUp,
                Door::Silence => Reply::Silence,
            }
        });
        Self { server, door, received }
    }

    /// What becomes of each request from now on.
    pub fn set(&self, door: Door) {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = door;
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

fn forward(received: ReceivedRequest, port: u16) -> Reply {
    const OF_THE_CONNECTION: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
    let ReceivedRequest { method, target, headers, body } = received;
    let kept = headers.lines().filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
    let request = kept.fold(Request::new(&method, &target), |request, (name, value)| request.header(name, value));
    match Connection::open(port).and_then(|mut connection| connection.send(&request.body(&body))) {
        Ok(response) => {
            let kept = response.headers.lines().filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
            let headers = kept.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            Reply::Answer { status: response.status, headers, body: response.body }
        }
        Err(_) => Reply::Answer { status: 502, headers: Vec::new(), body: Vec::new() },
    }
}
