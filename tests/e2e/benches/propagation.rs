//! How long a change of one tenant among 10,000 takes, from the API server's answer to kubectl until a mimir-rls behind the feed decides by it.
//!
//! The programs are those beside this one: `make bench-propagation` builds them. Prints the distribution over 200 changes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::thread;
use std::time::Duration;

use e2e::{Cluster, MimirRls, Request, let_time_pass, until};

const TENANTS: u32 = 10_000;
const CHANGES: usize = 200;
const ITEMS: u64 = 10;
/// Between two changes, so that each is a watch event of its own.
const PAUSE: Duration = Duration::from_millis(200);

/// 10,000 tenants, one of which has this burst.
fn document(changing: u32, burst: u64) -> String {
    let entries = (0..TENANTS).map(|number| {
        let burst = if number == changing { burst } else { 500_000 };
        format!("  tenant-{number:05}: {{ ingestion_rate: 50000, ingestion_burst_size: {burst} }}\n")
    });
    format!("overrides:\n{}", entries.collect::<String>())
}

/// Whether a push of [`ITEMS`] samples would be let through now.
fn is_allowed(rls: &MimirRls, tenant: &str) -> bool {
    let request = Request::new("POST", &format!("/api/v1/explain?items={ITEMS}")).header("X-Scope-OrgID", tenant);
    rls.http(&request).json().pointer("/decision").is_some_and(|decision| decision == "allow")
}

fn main() {
    let cluster = Cluster::start(&document(0, 500_000));
    let sync = cluster.sync("sync", &[]);
    let folder = cluster.server.folder().join("mimir-rls");
    std::fs::create_dir(&folder).unwrap_or_else(|error| unreachable!("{error}"));
    let rls = MimirRls::start(&folder, &sync.feed(), &["--log-level=info".to_owned()]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));

    let mut took = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let number = u32::try_from(change / 2 * 37).unwrap_or_default() % TENANTS;
        let allowed = change % 2 == 1;
        let answered = cluster.put(&document(number, if allowed { 500_000 } else { ITEMS - 1 }));
        let tenant = format!("tenant-{number:05}");
        until("the change decides", || {
            while is_allowed(&rls, &tenant) != allowed && answered.elapsed() < Duration::from_secs(1) {
                thread::yield_now();
            }
            is_allowed(&rls, &tenant) == allowed
        });
        took.push(answered.elapsed());
        pause();
    }
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() - 1) * share / 100).copied().unwrap_or_default();
    println!(
        "{CHANGES} changes of one tenant among {TENANTS}, from the API server's answer to the decision: \
         p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

/// Lets the programs come to rest: with no pause a change would wait for the work of the one before it.
fn pause() {
    let_time_pass(PAUSE);
}
