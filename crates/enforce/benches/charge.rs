//! What one push costs in the buckets, with more and more tenants: `admit_request` and `charge_items` on one thread,
//! tenants in random order. The factors matter; the nanoseconds are those of the machine.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use enforce::{BucketOwner, Decision, Enforcer, MonotonicNanos};
use limits::{Burst, Rate, RateLimit, Tenant};

const PUSHES: u32 = 2_000_000;
/// So much that no push is denied; the arithmetic is the same.
const PLENTY: RateLimit = RateLimit::of_one(Rate::PerSecond(1e12), Burst::Items(1 << 50));
/// Nothing is ever regained of one request, so every further push is denied.
const NOTHING: RateLimit = RateLimit::of_one(Rate::PerSecond(0.0), Burst::Items(1));

fn main() {
    let base = nanos_per_push(1, PLENTY);
    for tenants in [1, 1_000, 1_000_000] {
        let nanos = if tenants == 1 { base } else { nanos_per_push(tenants, PLENTY) };
        println!("{tenants:>9} tenants: {nanos:>6.0} ns per push, factor {:.2}", nanos / base);
    }
    let denied = nanos_per_push(1, NOTHING);
    println!("  denied at once:  {denied:>5.0} ns per push, factor {:.2}", denied / base);
}

fn nanos_per_push(tenants: usize, requests: RateLimit) -> f64 {
    let headers: Vec<String> = (0..tenants).map(|index| format!("tenant-{index}")).collect();
    let tenants = headers.iter().filter_map(|header| Tenant::parse(Some(header.as_bytes())).ok());
    let tenants: Vec<_> = tenants.map(|tenant| BucketOwner { tenant, has_override: false }).collect();
    let enforcer = Enforcer::new();
    let mut now = MonotonicNanos::from_nanos(0);
    for tenant in &tenants {
        push(&enforcer, tenant, requests, now);
    }
    let mut random = 1_u64;
    let mut allowed = 0;
    let start = Instant::now();
    for _ in 0..PUSHES {
        // Knuth's MMIX generator; its high bits are the good ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = (random >> 33) as usize % tenants.len();
        now = now + Duration::from_micros(1);
        if let Some(tenant) = tenants.get(index) {
            allowed += u32::from(push(&enforcer, tenant, requests, now));
        }
    }
    let nanos = start.elapsed().as_nanos() as f64 / f64::from(PUSHES);
    assert!(allowed == if requests == PLENTY { PUSHES } else { 0 }, "{allowed} pushes were allowed");
    nanos
}

fn push(enforcer: &Enforcer, tenant: &BucketOwner<'_>, requests: RateLimit, now: MonotonicNanos) -> bool {
    black_box(enforcer.admit_request(tenant, requests, now)) == Decision::Allow
        && black_box(enforcer.charge_items(tenant, PLENTY, 500, now)) == Decision::Allow
}
