//! The memory of mimir-rls when twelve tenants send their worst pushes at once.
//!
//! `FAULTS=long` sends the worst push of each buffer and loop; otherwise those that occupy most.

#[path = "../../../crates/remote-write/tests/worst/pushes.rs"]
mod worst;

use std::{env, thread};

use remote_write::Protocol;
use worst::Worst;

use e2e::{Edge, Request, push_request, send};

const MIB: u64 = 1 << 20;
const TENANTS: usize = 12;
/// On 2 cores, with the default settings. What may be reserved is 256 MiB for messages, twice 132 MiB for reading, and 132 MiB for what is read in place; twelve pushes of 5 MB take less of
/// the former.
const BOUND: u64 = 400 * MIB;
/// What two pushes of `empty_symbols` have decompressed. A debug build reads one for longer than its request may take, and answers 503: that they are
/// read all the same shows here.
const READ: u64 = 200 * MIB;
/// Of each reading thread more, between two bodies.
const KEPT: u64 = 4 * MIB;
const OCCUPY_MOST: [&str; 3] = ["empty_symbols", "distinct_families", "everything_at_once"];

fn request(tenant: &str, push: &Worst) -> Request {
    match push.protocol {
        Protocol::V1 => push_request(tenant, &push.body),
        Protocol::V2 => Request::new("POST", "/api/v1/push")
            .header("X-Scope-OrgID", tenant)
            .header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "2.0.0")
            .body(&push.body),
    }
}

fn pushes() -> Vec<Worst> {
    let all = env::var("FAULTS").is_ok_and(|form| form == "long");
    worst::all().into_iter().filter(|push| all || OCCUPY_MOST.contains(&push.name)).collect()
}

/// Sends each push by twelve tenants at once, and looks at the peak so far.
#[track_caller]
fn stay_within(threads: u64, bound: u64) {
    let pushes = pushes();
    assert!(pushes.len() >= OCCUPY_MOST.len());
    let tenant = |kind: usize, number: usize| format!("t{kind}-{number}");
    let mut limits = "overrides:\n".to_owned();
    for (kind, push) in pushes.iter().enumerate() {
        for number in 0..TENANTS {
            limits.push_str(&format!("  {}: {}\n", tenant(kind, number), push.tenant_yaml));
        }
    }
    let flag = format!("--decode-threads={threads}");
    let edge = Edge::builder().forgetting_bodies().rls_arguments(&[&flag]).start(&limits);
    for (kind, push) in pushes.iter().enumerate() {
        let statuses: Vec<u16> = thread::scope(|scope| {
            let send = |number| send(edge.port(), &request(&tenant(kind, number), push)).status;
            let sent: Vec<_> = (0..TENANTS).map(|number| scope.spawn(move || send(number))).collect();
            sent.into_iter().filter_map(|sent| sent.join().ok()).collect()
        });
        let peak = edge.rls.process.peak_rss();
        eprintln!(
            "{threads} threads, {}: {} bytes sent, peak {} MiB, {statuses:?}",
            push.name,
            push.body.len(),
            peak / MIB
        );
        assert_eq!(statuses.len(), TENANTS, "{}", push.name);
        assert!(peak > READ, "after {} mimir-rls had {peak} bytes: two are to be read at once", push.name);
        assert!(peak < bound, "after {} mimir-rls had {peak} bytes, more than {bound}", push.name);
    }
}

#[test]
fn worst_pushes_of_twelve_tenants_stay_within_the_memory_bound() {
    stay_within(2, BOUND);
}

#[test]
fn more_decode_threads_use_only_the_memory_they_keep() {
    stay_within(8, BOUND + 6 * KEPT);
}
