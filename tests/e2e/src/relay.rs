//! A loopback address of a program's own: all programs of a test listen on 127.0.0.1, and a test of names needs programs at several addresses.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

type Open = Arc<Mutex<Vec<TcpStream>>>;

/// Passes connections on to a port of 127.0.0.1. When it is dropped, its connections end and new ones are refused.
#[derive(Debug)]
pub struct Relay {
    address: (Ipv4Addr, u16),
    open: Open,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens at this address.
    ///
    /// # Panics
    /// When another program does.
    #[must_use]
    pub fn start(address: Ipv4Addr, port: u16, to: u16) -> Self {
        let address = (address, port);
        let listener = TcpListener::bind(address).expect("a loopback address can be bound");
        let (open, stopping) = (Open::default(), Arc::new(AtomicBool::new(false)));
        let (streams, stop) = (Arc::clone(&open), Arc::clone(&stopping));
        let accepting = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A client whose server is gone sees its connection end.
                drop(relay(client, to, &streams));
            }
        });
        Self { address, open, stopping, accepting: Some(accepting) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn relay(client: TcpStream, to: u16, open: &Open) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    for (from, to) in [(&client, &server), (&server, &client)] {
        from.set_nodelay(true)?;
        open.lock().unwrap_or_else(PoisonError::into_inner).push(from.try_clone()?);
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        });
    }
    Ok(())
}
