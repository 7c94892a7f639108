//! Clients that send a byte of their push now and then.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::throughout;

use super::case::{Case, Costs, fault_duration};

const CLIENTS: usize = 300;
const A_BYTE_EVERY: Duration = Duration::from_millis(100);

/// Opens the pushes and feeds them for the time of a fault.
fn dribble(port: u16, claimed: usize) {
    let head = format!(
        "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: within\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {claimed}\r\n\r\n"
    );
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy accepts");
            stream.write_all(head.as_bytes()).expect("a head can be sent");
            stream
        })
        .collect();
    let mut last = Instant::now();
    // How long the clients are slow is a part of what is tested.
    throughout(fault_duration(), || {
        if last.elapsed() >= A_BYTE_EVERY {
            last = Instant::now();
            // Some are denied at once, and their connections closed.
            clients.retain_mut(|stream| stream.write_all(b"x").is_ok());
        }
    });
}

/// Bodies that claim half a megabyte.
pub(crate) const BODIES: Case = Case {
    name: "slow-bodies",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| dribble(stack.edge.port(), 500_000),
    changes_a_limit: false,
};

/// Bodies that claim so much that Envoy takes only some at once.
pub(crate) const LARGE_BODIES: Case =
    Case { name: "slow-large-bodies", fault: |stack| dribble(stack.edge.port(), 10_000_000), ..BODIES };
