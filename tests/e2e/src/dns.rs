//! A DNS server whose answers a test changes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What the server answers for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// These IPv4 addresses, for a second; no IPv6 address.
    Addresses(Vec<Ipv4Addr>),
    /// NXDOMAIN, also the answer for a name that was never set.
    NoSuchName,
    /// No answer at all.
    Silence,
}

/// The answers, and how many queries came for each name.
#[derive(Debug, Default)]
struct Zone {
    answers: BTreeMap<String, DnsAnswer>,
    queries: BTreeMap<String, usize>,
}

/// Listens on loopback, UDP only, until it is dropped.
#[derive(Debug)]
pub struct DnsServer {
    port: u16,
    zone: Arc<Mutex<Zone>>,
    stopping: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl DnsServer {
    /// Starts a server that knows no name.
    ///
    /// # Panics
    /// When it gets no port.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a loopback port can be bound");
        let port = socket.local_addr().expect("a bound socket has an address").port();
        let (zone, stopping) = (Arc::new(Mutex::new(Zone::default())), Arc::new(AtomicBool::new(false)));
        let (answers, stop) = (Arc::clone(&zone), Arc::clone(&stopping));
        let answering = thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let response = query.get(..length).and_then(|query| respond(query, &answers));
                if let Some(response) = response {
                    drop(socket.send_to(&response, client));
                }
            }
        });
        Self { port, zone, stopping, answering: Some(answering) }
    }

    /// Its UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the answer for a name, from the next query on.
    pub fn set(&self, name: &str, answer: DnsAnswer) {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).answers.insert(name.to_owned(), answer);
    }

    /// How many queries came for a name.
    #[must_use]
    pub fn queries(&self, name: &str) -> usize {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).queries.get(name).copied().unwrap_or_default()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the answering thread.
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) {
            drop(socket.send_to(&[0], ("127.0.0.1", self.port)));
        }
        if let Some(answering) = self.answering.take() {
            drop(answering.join());
        }
    }
}

/// The response to a query for one name, RFC 1035 section 4.
fn respond(query: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    const IPV4_ADDRESS: [u8; 4] = [0, 1, 0, 1];
    let (name, end) = name_at(query, 12)?;
    let kind = query.get(end..end + 4)?;
    let answer = {
        let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
        *zone.queries.entry(name.clone()).or_default() += 1;
        zone.answers.get(&name).cloned().unwrap_or(DnsAnswer::NoSuchName)
    };
    let (addresses, code) = match answer {
        DnsAnswer::Addresses(addresses) if kind == IPV4_ADDRESS => (addresses, 0),
        DnsAnswer::Addresses(_) => (Vec::new(), 0),
        DnsAnswer::NoSuchName => (Vec::new(), 3),
        DnsAnswer::Silence => return None,
    };
    let mut response = query.get(..2)?.to_vec();
    // A response, recursion desired and available; one question, so many answers, no other records.
    response.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]);
    response.extend(query.get(12..end + 4)?);
    for address in addresses {
        // The name is the question's, at byte 12; an IPv4 address that is valid for a second.
        response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        response.extend(address.octets());
    }
    Some(response)
}

/// A name at a place in a message, in lower case and without a final dot, and where it ends.
fn name_at(message: &[u8], mut place: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(place)?);
        place += 1;
        if length == 0 {
            return Some((labels.join("."), place));
        }
        labels.push(String::from_utf8_lossy(message.get(place..place + length)?).to_lowercase());
        place += length;
    }
}
