//! `ShouldRateLimit` over gRPC: the CPU time of mimir-rls for a call that charges samples to one of many tenants.

use e2e::{MimirRls, WatchedFile, until};

use crate::figures::Figures;

mod client;

use client::{Caller, call_of};

const TENANTS: usize = 10_000;
const DOMAIN: &str = "mimir";
/// Calls in flight on the one connection, and the CPU time in µs that a call is to take at most.
const IN_FLIGHT: [(usize, Option<f64>); 3] = [(1, None), (10, None), (100, Some(12.0))];

pub(crate) fn measure(figures: &mut Figures) {
    println!(
        "ShouldRateLimit: CPU time of mimir-rls for a call, with {TENANTS} tenants that each have a limit, in random order on one connection.\n"
    );
    println!("| calls in flight | calls/s | µs of CPU a call | target |\n|---|---|---|---|");
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
    let tenants: Vec<String> = (0..TENANTS).map(|tenant| format!("tenant-{tenant:05}")).collect();
    let own =
        |tenant: &String| format!("  {tenant}: {{ ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }}\n");
    let overrides = format!("overrides:\n{}", tenants.iter().map(own).collect::<String>());
    let limits = WatchedFile::of(&overrides);
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));
    let calls: Vec<_> = tenants.iter().map(|tenant| call_of(DOMAIN, "tenant", tenant)).collect();
    let caller = Caller::connect(rls.grpc_port());
    for (in_flight, target) in IN_FLIGHT {
        let cost = caller.measure([&rls.process], &calls, in_flight);
        let (per_second, [cost]) = cost.map_or((0.0, [f64::NAN]), |cost| (cost.per_second, cost.micros));
        let target = figures.target(&format!("ShouldRateLimit with {in_flight} calls in flight"), cost, target);
        println!("| {in_flight} | {per_second:.0} | {cost:.1} | {target} |");
    }
    println!();
}
