//! Clients that push without a pause while a test does something to the edge.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::http1::{Connection, Request, Response};
use crate::wait::until;

mod clients;
mod paced;

pub(crate) use clients::Clients;
pub use paced::{Pace, push_paced};

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, usize>,
    /// When the last push was started that was answered with a status.
    pub last_started: BTreeMap<u16, Instant>,
    /// Connections that broke before an answer.
    pub errors: Vec<String>,
}

impl Tally {
    /// Answers of this status.
    #[must_use]
    pub fn of(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    /// Answers of all statuses.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.statuses.values().sum()
    }
}

impl Tally {
    /// Sends the same request `count` times at once, each on a connection of its own, and waits for the answers.
    #[must_use]
    pub fn of_pushes_at_once(port: u16, count: usize, request: &Request) -> Self {
        let tally = Mutex::new(Self::default());
        thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| {
                    let started = Instant::now();
                    let answer = Connection::open(port).and_then(|mut connection| connection.send(request));
                    tally.lock().unwrap_or_else(PoisonError::into_inner).note(started, answer);
                });
            }
        });
        tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&mut self, started: Instant, answer: io::Result<Response>) {
        match answer {
            Ok(answer) => {
                *self.statuses.entry(answer.status).or_default() += 1;
                let last = self.last_started.entry(answer.status).or_insert(started);
                *last = started.max(*last);
            }
            Err(error) => self.errors.push(error.to_string()),
        }
    }
}

/// Sends the same request `count` times at once, and disconnects without waiting for a response.
///
/// # Panics
/// When a request cannot be sent.
pub fn abandon(port: u16, count: usize, request: &Request) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let sent = Connection::open(port).and_then(|connection| connection.abandon(request));
                sent.expect("a request can be sent");
            });
        }
    });
}

/// A running load; dropping it stops it.
#[derive(Debug)]
pub struct Load {
    clients: Clients<Tally>,
}

impl Load {
    /// Starts one client for each request; each sends its request again and again on a kept-alive connection.
    #[must_use]
    pub fn start(port: u16, requests: Vec<Request>) -> Self {
        let clients = requests
            .into_iter()
            .map(|request| move |tally: &Mutex<Tally>, stopping: &AtomicBool| client(port, &request, tally, stopping));
        Self { clients: Clients::start(clients) }
    }

    /// What the clients saw so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.clients.seen(Tally::clone)
    }

    /// Waits for this many more responses.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_more(&self, answers: usize) {
        let before = self.tally().answers();
        until("the load gets more answers", || self.tally().answers() >= before + answers);
    }

    /// Waits for this many more responses with this status.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_more_of(&self, status: u16, answers: usize) {
        let before = self.tally().of(status);
        until(&format!("the load gets more answers {status}"), || self.tally().of(status) >= before + answers);
    }

    /// Lets each client finish its push, and says what they saw.
    #[must_use]
    pub fn stop(mut self) -> Tally {
        self.clients.stop();
        self.tally()
    }
}

fn client(port: u16, request: &Request, tally: &Mutex<Tally>, stopping: &AtomicBool) {
    let mut connection = None;
    while !stopping.load(Ordering::Relaxed) {
        let started = Instant::now();
        let answer = exchange(&mut connection, port, request);
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(started, answer);
    }
}

/// Sends a request on a connection that is kept for the next one, and opened again after the server closed it. It never sends a request twice.
///
/// # Errors
/// When there is no response.
pub fn exchange(connection: &mut Option<Connection>, port: u16, request: &Request) -> io::Result<Response> {
    let mut open = connection.take().map_or_else(|| Connection::open(port), Ok)?;
    let answer = open.send(request)?;
    if answer.headers.get("connection").as_deref() != Some("close") {
        *connection = Some(open);
    }
    Ok(answer)
}
