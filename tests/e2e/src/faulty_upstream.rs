//! An upstream of the edge that fails as a test tells it to: a proxy in front of Mimir, or a server in its place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http1::{Connection, ReceivedRequest, Request};
use crate::server::{Reply, Server};

/// What a [`FaultyUpstream`] does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Forwards it to this loopback port, and answers 502 if there is no response.
    Forward(u16),
    /// Answers with this status and no body.
    Answer(u16),
    /// Closes the connection without a response.
    CloseConnection,
    /// Sends nothing, and keeps the connection open.
    NoAnswer,
}

/// A server between an edge and Mimir. It runs until it is dropped.
#[derive(Debug)]
pub struct FaultyUpstream {
    port: u16,
    /// None while it is closed.
    server: Option<Server>,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Arc<AtomicUsize>,
}

impl FaultyUpstream {
    /// Starts one on a free loopback port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(behaviour: Behaviour) -> Self {
        let mut upstream =
            Self { port: 0, server: None, behaviour: Arc::new(Mutex::new(behaviour)), received: Arc::default() };
        upstream.open(behaviour);
        upstream
    }

    /// Refuses new connections, and closes each open one at its next request.
    pub fn close(&mut self) {
        self.set(Behaviour::CloseConnection);
        self.server = None;
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Panics
    /// When something else has taken the port.
    pub fn open(&mut self, behaviour: Behaviour) {
        self.set(behaviour);
        let (now, counted) = (Arc::clone(&self.behaviour), Arc::clone(&self.received));
        let server = Server::start_on(self.port, move |request| {
            let behaviour = *now.lock().unwrap_or_else(PoisonError::into_inner);
            counted.fetch_add(1, Ordering::Relaxed);
            match behaviour {
                Behaviour::Forward(port) => forward(request, port),
                Behaviour::Answer(status) => Reply::Answer { status, headers: Vec::new(), body: Vec::new() },
                Behaviour::CloseConnection => Reply::CloseConnection,
                Behaviour::NoAnswer => Reply::NoAnswer,
            }
        });
        self.port = server.port();
        self.server = Some(server);
    }

    /// Changes what it does with each request from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
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
    const HOP_BY_HOP: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
    let ReceivedRequest { method, target, headers, body } = received;
    let kept = headers.lines().filter(|(name, _)| !HOP_BY_HOP.contains(name));
    let request = kept.fold(Request::new(&method, &target), |request, (name, value)| request.header(name, value));
    match Connection::open(port).and_then(|mut connection| connection.send(&request.body(&body))) {
        Ok(response) => {
            let kept = response.headers.lines().filter(|(name, _)| !HOP_BY_HOP.contains(name));
            let headers = kept.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            Reply::Answer { status: response.status, headers, body: response.body }
        }
        Err(_) => Reply::Answer { status: 502, headers: Vec::new(), body: Vec::new() },
    }
}
