//! One client with less than 5 MB/s against its neighbours. The client has 127.0.0.2, its neighbours 127.0.0.1. What each attack may do to them is
//! asserted as a band; docs/threat-model.md lists the attacks.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

mod connections;
mod failing_open;
mod http2;
mod metrics_port;
mod mimir_rls;
mod neighbours;
mod slow_mimir;
mod slow_uploads;
mod unserved;

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use e2e::connect_from;

const LIMITS: &str = "overrides: { modest: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }, greedy: {} }";
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const MIB: u64 = 1 << 20;
/// How long 99 of 100 pushes of neighbours take at most, on a machine that is shared with other tests.
const NEIGHBOURS_WAIT: Duration = Duration::from_secs(5);
/// The same while 70,000 requests arrive within a second, and Envoy has a fraction of a core.
const NEIGHBOURS_WAIT_IN_A_FLOOD: Duration = Duration::from_secs(20);

/// Opens a connection and sends the beginning of a request.
fn begin(client: Ipv4Addr, port: u16, begun: &str) -> TcpStream {
    let mut stream = connect_from(client, port).expect("Envoy accepts");
    stream.write_all(begun.as_bytes()).expect("Envoy reads");
    stream
}
