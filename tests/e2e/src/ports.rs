//! Free ports for programs that cannot choose one themselves.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;
use std::sync::Mutex;

/// Below the range from which Linux takes the ports of outgoing connections, so that none of them takes a port between its choice and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The ports of this process, each as a socket whose name only one process can have. The kernel frees the names when the process ends.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A loopback port that nothing listens on. Until this process ends, no test gets it again, in this process or in another one.
///
/// # Panics
/// When no port of the range is free.
#[must_use]
pub fn free_port() -> u16 {
    let mut held = HELD.lock().expect("no call panics before it has a port");
    // Tests that run at the same time start at different places, so that a port that was used rests for a while.
    let start = process::id().wrapping_mul(97).wrapping_add(u32::try_from(held.len()).unwrap_or_default());
    let offset = (start % u32::from(COUNT)) as u16;
    let (port, name) = (0..COUNT)
        .map(|turn| FIRST + (offset + turn) % COUNT)
        .find_map(|port| Some((port, hold(port)?)))
        .expect("no free port between 20000 and 32000");
    held.push(name);
    port
}

fn hold(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("mimir-edge-e2e-port-{port}")).ok()?;
    let held = UnixListener::bind_addr(&name).ok()?;
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once() {
        let port = free_port();
        assert!(hold(port).is_none());
        assert_ne!(free_port(), port);
    }
}
