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
    port: u16,
    /// None while it is closed.
    server: Option<Server>,
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
        let mut gate = Self { port: 0, server: None, door: Arc::new(Mutex::new(door)), received: Arc::default() };
        gate.open(door);
        gate
    }

    /// Nobody can connect any more, and connections that are open end with their next request.
    pub fn close(&mut self) {
        self.set(Door::HangUp);
        self.server = None;
    }

    /// Takes connections again, on the port that it always had.
    ///
    /// # Panics
    /// When something else has taken the port.
    pub fn open(&mut self, door: Door) {
        self.set(door);
        let (now, counted) = (Arc::clone(&self.door), Arc::clone(&self.received));
        let server = Server::start_on(self.port, move |request| {
            let door = *now.lock().unwrap_or_else(PoisonError::into_inner);
            counted.fetch_add(1, Ordering::Relaxed);
            match door {
                Door::To(port) => forward(request, port),
                Door::Answer(status) => Reply::Answer { status, headers: Vec::new(), body: Vec::new() },
                Door::HangUp => Reply::HangUp,
                Door::Silence => Reply::Silence,
            }
        });
        self.port = server.port();
        self.server = Some(server);
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
        self.port
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
