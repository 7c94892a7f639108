//! Clients that push at a fixed rate, independent of the responses and of how long they take.

use std::thread;
use std::time::{Duration, Instant};

use super::exchange;
use crate::http1::{Request, Response};
use crate::wait::wait_until;

/// How fast, how often, and by how many.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one push to the next.
    pub every: Duration,
    /// Pushes in all.
    pub pushes: u32,
    /// Clients that take turns: as many pushes can wait for their answers before one is late.
    pub clients: u32,
}

/// Sends the same request again and again, in turn to each of the ports, on kept-alive connections. A push that is late is sent as soon as
/// it can be, so that all of them are sent. The answers are in no order.
///
/// # Panics
/// When a push has no answer.
#[must_use]
pub fn push_paced(ports: &[u16], request: &Request, pace: Pace) -> Vec<Response> {
    let started = Instant::now();
    let client = |first: u32| -> Vec<Response> {
        let mut connections: Vec<_> = ports.iter().map(|port| (*port, None)).collect();
        let turns = (first..pace.pushes).step_by(pace.clients as usize);
        turns
            .map(|turn| {
                wait_until(started + pace.every * turn);
                let place = turn as usize % connections.len();
                let (port, connection) = connections.get_mut(place).expect("there is a port");
                exchange(connection, *port, request).expect("a push is answered")
            })
            .collect()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..pace.clients).map(|first| scope.spawn(move || client(first))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client sends all of its pushes")).collect()
    })
}
