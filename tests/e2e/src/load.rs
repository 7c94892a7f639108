//! Clients that push without a pause while a test does something to the edge.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::http1::{Connection, Request};
use crate::wait::until;

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

/// A running load; dropping it stops it.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts one client for each request; each sends its request again and again on a kept-alive connection.
    #[must_use]
    pub fn start(port: u16, requests: Vec<Request>) -> Self {
        let (tally, stopping) = (Arc::new(Mutex::new(Tally::default())), Arc::new(AtomicBool::new(false)));
        let clients = requests
            .into_iter()
            .map(|request| {
                let (tally, stopping) = (Arc::clone(&tally), Arc::clone(&stopping));
                thread::spawn(move || client(port, &request, &tally, &stopping))
            })
            .collect();
        Self { tally, stopping, clients }
    }

    /// What the clients saw so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many more answers have come.
    ///
    /// # Panics
    /// When they don't.
    #[track_caller]
    pub fn wait_for_more(&self, answers: usize) {
        let before = self.tally().answers();
        until("the load gets more answers", || self.tally().answers() >= before + answers);
    }

    /// Waits until so many more answers of this status have come.
    ///
    /// # Panics
    /// When they don't.
    #[track_caller]
    pub fn wait_for_more_of(&self, status: u16, answers: usize) {
        let before = self.tally().of(status);
        until(&format!("the load gets more answers {status}"), || self.tally().of(status) >= before + answers);
    }

    /// Lets each client finish its push, and says what they saw.
    #[must_use]
    pub fn stop(mut self) -> Tally {
        self.join();
        self.tally()
    }

    fn join(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            drop(client.join());
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}

fn client(port: u16, request: &Request, tally: &Mutex<Tally>, stopping: &AtomicBool) {
    let mut connection = None;
    while !stopping.load(Ordering::Relaxed) {
        let started = Instant::now();
        let answer = connection.take().map_or_else(|| Connection::open(port), Ok).and_then(|mut open| {
            let answer = open.send(request)?;
            if answer.headers.get("connection").as_deref() != Some("close") {
                connection = Some(open);
            }
            Ok(answer)
        });
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                *tally.statuses.entry(answer.status).or_default() += 1;
                let last = tally.last_started.entry(answer.status).or_insert(started);
                *last = started.max(*last);
            }
            Err(error) => tally.errors.push(error.to_string()),
        }
    }
}
