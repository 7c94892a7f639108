//! The longest decision while the limits of 100,000 tenants are replaced, without the time that its thread waited for a core.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge::Edge;
use tokio::runtime::Builder;

use crate::setup::{body, check, edge_with, limits_of, push};
use crate::{Row, Target, median};

const TENANTS: u32 = 100_000;
/// So much that nothing is denied.
const BURST: u64 = 1 << 40;
const SWAPS: u64 = 7;
/// How long pushes are decided before and after a swap: the old limits are freed after it.
const AROUND: Duration = Duration::from_millis(40);

pub(crate) fn rows() -> Vec<Row> {
    let (edge, mut writer) = edge_with(limits_of(TENANTS, BURST));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let body = body(100);
    let mut longest = Vec::new();
    for swap in 1..=SWAPS {
        let next = limits_of(TENANTS, BURST + swap);
        let swapped = AtomicBool::new(false);
        let (ready, is_ready) = mpsc::channel();
        let pause = thread::scope(|scope| {
            let deciding = scope.spawn(|| {
                let mut decisions = Decisions::new(&edge, &body);
                decisions.decide_for(AROUND);
                ready.send(()).unwrap();
                while !swapped.load(Ordering::Relaxed) {
                    decisions.decide_for(Duration::ZERO);
                }
                decisions.decide_for(AROUND);
                decisions.longest
            });
            is_ready.recv().unwrap();
            runtime.block_on(writer.put_limits(next));
            swapped.store(true, Ordering::Relaxed);
            deciding.join().unwrap()
        });
        longest.push(pause.as_secs_f64() * 1_000.0);
    }
    vec![Row::new(
        format!("longest check while the limits of {TENANTS} tenants are replaced, median of {SWAPS}"),
        median(longest),
        "ms",
        Some(Target::AtMost(2.0)),
    )]
}

/// The checks of one thread, of one tenant after the other.
struct Decisions<'e> {
    edge: &'e Edge,
    body: &'e Bytes,
    turn: u32,
    /// The kernel's account of this thread's time.
    account: File,
    longest: Duration,
}

impl<'e> Decisions<'e> {
    fn new(edge: &'e Edge, body: &'e Bytes) -> Self {
        let account = File::open("/proc/thread-self/schedstat").unwrap();
        Self { edge, body, turn: 0, account, longest: Duration::ZERO }
    }

    /// At least one is made.
    fn decide_for(&mut self, time: Duration) {
        let begun = Instant::now();
        loop {
            let push = push(self.turn % TENANTS, self.body);
            self.turn += 1;
            let (waited, started) = (self.waited(), Instant::now());
            check(self.edge, &push);
            let took = started.elapsed();
            let waited = if took > self.longest { self.waited() - waited } else { Duration::ZERO };
            self.longest = self.longest.max(took.saturating_sub(waited));
            if begun.elapsed() >= time {
                return;
            }
        }
    }

    /// How long this thread has waited for a core since its start: the second number, in nanoseconds.
    fn waited(&self) -> Duration {
        let mut line = [0; 64];
        let read = self.account.read_at(&mut line, 0).unwrap();
        let line = std::str::from_utf8(line.get(..read).unwrap()).unwrap();
        Duration::from_nanos(line.split(' ').nth(1).unwrap().parse().unwrap())
    }
}
