//! What the worst pushes take: bytes sent and claimed, time, and memory at its peak.
//!
//! `cargo bench -p remote-write --bench worst`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

#[path = "../tests/worst/tenant.rs"]
mod tenant;
#[path = "../tests/worst/pushes.rs"]
mod worst;

use std::hint::black_box;
use std::time::{Duration, Instant};

use remote_write::{PushCounts, Scratch, claimed_bytes, working_bytes};
use tenant::WorstTenant;
use worst::Worst;

fn main() {
    println!("| push | bytes sent | decompressed | ms | peak KiB | of reserved KiB | counted | unmetered |");
    println!("|---|---|---|---|---|---|---|---|");
    worst::all().iter().for_each(report);
}

fn report(worst: &Worst) {
    let tenant = WorstTenant::of(worst);
    let mut counts = PushCounts::default();
    let taken = allocation_counter::measure(|| {
        counts = tenant.read(worst, &mut Scratch::default());
    });
    let mut scratch = Scratch::default();
    let time = best(|| {
        black_box(tenant.read(worst, &mut scratch));
    });
    let claimed = claimed_bytes(&worst.body).unwrap();
    let (sent, millis) = (worst.body.len(), time.as_secs_f64() * 1000.0);
    let (peak, reserved) = (taken.bytes_max >> 10, working_bytes(claimed) >> 10);
    let why = counts.unmetered.map_or("", |why| why.as_str());
    println!(
        "| {} | {sent} | {claimed} | {millis:.2} | {peak} | {reserved} | {} | {why} |",
        worst.name,
        counts.items()
    );
}

/// The shortest of a few runs.
fn best(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}
