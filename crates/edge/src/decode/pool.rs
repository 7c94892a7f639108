//! Decodes bodies on threads of its own, in an order that is fair to tenants ([`super::fair_queue`]).
//!
//! TenantCap bodies are decoded where their call is answered. What would keep that thread for longer, because it is large or because its tenant has dear
//! rules, is decoded here. Time and memory are bounded apart: a body waits as long as its call does, which is answered before its caller gives up;
//! and what decoding may occupy is reserved before it begins. A tenant's rules therefore make its own pushes slower, and deny none of them.
//!
//! Invariants: what the threads occupy is at most [`DecodePool::max_bytes`], of one tenant half of it, and what is decoded in place at most
//! [`DecodePool::max_bytes_in_place`]; beside that each thread keeps [`super::KEEP_BYTES`] between two bodies. A body whose call has ended is neither
//! kept nor started.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use bytes::Bytes;
use remote_write::{BodyLimits, claimed_bytes, working_bytes};
use tokio::sync::oneshot;

use super::fair_queue::{Started, Cost, FairQueue, TenantCap};
use super::{DecodeFailed, DecodePlan, Outcome, decode};

/// How many bodies of the largest size are read at once, whatever the number of cores. Of a default batch some twenty are.
const LARGEST_AT_ONCE: usize = 2;

/// A body of up to so many bytes, compressed and decompressed, is read where its question is answered: 2 to 4 ms. A default batch of Prometheus, 2,000
/// samples, has half of it. A larger one is left to the readers, so that small pushes and health checks do not wait behind it.
const IN_PLACE_BYTES: usize = 256 << 10;
const IN_PLACE_DECODED_BYTES: usize = 1 << 20;
/// So many of them at once; with more the next ones are left to the readers.
const IN_PLACE_AT_ONCE: usize = 4;

/// What a core reads in a second, as an estimate of what a read takes.
const BYTES_PER_SECOND: f64 = 300e6;

/// The lane of bodies that are only asked about. No tenant can be called so.
const DRY_RUNS: &str = "<dry-run>";

/// A pool of reading threads. They end with it.
#[derive(Debug)]
pub struct DecodePool {
    limits: BodyLimits,
    pool: Arc<Pool>,
}

/// Who a body is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane<'t> {
    Tenant(&'t str),
    /// Nobody's push: it is only asked about. No decision waits for more than one of these.
    DryRun,
}

/// What is still to be read. Its waiter takes it back when the call has ended.
type Slot = Arc<Mutex<Option<(Bytes, DecodePlan)>>>;

#[derive(Debug)]
struct Job {
    slot: Slot,
    answer: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
    /// What may still be occupied.
    free_bytes: AtomicUsize,
    /// And by those that are read in place: no large body takes their room.
    free_bytes_in_place: AtomicUsize,
    max_bytes: usize,
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Job>,
    closed: bool,
}

impl DecodePool {
    /// Starts the threads: of one tenant as many read at once as there are cores, and one is left for the others.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(limits: BodyLimits, threads: Option<NonZero<usize>>) -> io::Result<Self> {
        let cores = threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
        let pool = Self::without_threads(limits, cores);
        for number in 0..=cores {
            let shared = Arc::clone(&pool.pool);
            thread::Builder::new()
                .name(format!("decoder-{number}"))
                .spawn(move || shared.decode_until_closed(limits))?;
        }
        Ok(pool)
    }

    fn without_threads(limits: BodyLimits, max_per_tenant: usize) -> Self {
        let max_bytes = Self::max_bytes(limits);
        // One tenant's largest body, or many small ones: the other half is for the others.
        let cap = TenantCap { jobs: max_per_tenant, weight: max_bytes / LARGEST_AT_ONCE };
        let pool = Pool {
            state: Mutex::new(State { queue: FairQueue::new(cap), closed: false }),
            work: Condvar::new(),
            free_bytes: AtomicUsize::new(max_bytes),
            free_bytes_in_place: AtomicUsize::new(Self::max_bytes_in_place()),
            max_bytes,
        };
        Self { limits, pool: Arc::new(pool) }
    }

    /// The most bytes that readers occupy, whatever the number of threads.
    #[must_use]
    pub fn max_bytes(limits: BodyLimits) -> usize {
        working_bytes(limits.max_decoded_bytes).saturating_mul(LARGEST_AT_ONCE)
    }

    /// The most bytes that bodies occupy that are read in place.
    #[must_use]
    pub fn max_bytes_in_place() -> usize {
        working_bytes(IN_PLACE_DECODED_BYTES).saturating_mul(IN_PLACE_AT_ONCE)
    }

    /// What a body holds.
    ///
    /// # Errors
    /// When reading it failed by a fault of the edge.
    pub(crate) async fn decode(&self, lane: Lane<'_>, body: &Bytes, plan: DecodePlan) -> Outcome {
        // A claim over the limit is refused without the work, as is one that is no claim.
        let claimed = claimed_bytes(body).filter(|claimed| *claimed <= self.limits.max_decoded_bytes).unwrap_or(0);
        let work = claimed.saturating_mul(plan.effort());
        // More than all there is would never be free.
        let bytes = working_bytes(claimed).min(self.pool.max_bytes);
        let is_short = body.len() <= IN_PLACE_BYTES && work <= IN_PLACE_DECODED_BYTES && plan.is_steady();
        if is_short && reserve(&self.pool.free_bytes_in_place, bytes) {
            let outcome = decode(body, self.limits, &plan);
            self.pool.free_bytes_in_place.fetch_add(bytes, Ordering::AcqRel);
            return outcome;
        }
        let cost = Cost { estimate: Duration::from_secs_f64(work as f64 / BYTES_PER_SECOND), weight: bytes };
        let slot: Slot = Arc::new(Mutex::new(Some((body.clone(), plan))));
        let (answer, answered) = oneshot::channel();
        let cancel = CancelOnDrop(Arc::clone(&slot));
        let lane = match lane {
            Lane::Tenant(tenant) => tenant,
            Lane::DryRun => DRY_RUNS,
        };
        self.pool.state().queue.push(lane, cost, Job { slot, answer });
        self.pool.work.notify_one();
        let outcome = answered.await;
        drop(cancel);
        outcome.unwrap_or(Err(DecodeFailed))
    }
}

impl Drop for DecodePool {
    fn drop(&mut self) {
        self.pool.state().closed = true;
        self.pool.work.notify_all();
    }
}

/// Gives a body's memory back as soon as no call waits for it.
struct CancelOnDrop(Slot);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        take(&self.0);
    }
}

fn take(slot: &Slot) -> Option<(Bytes, DecodePlan)> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Pool {
    /// No code that holds it panics, so what it guards is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode_until_closed(&self, limits: BodyLimits) {
        while let Some((Started { tenant, cost, job: Job { slot, answer } }, reserved)) = self.next() {
            let started = Instant::now();
            if let Some((body, plan)) = take(&slot) {
                // Nobody may be waiting any more.
                drop(answer.send(decode(&body, limits, &plan)));
            }
            self.state().queue.finished(&tenant, cost, started.elapsed());
            self.release(reserved);
        }
    }

    fn release(&self, bytes: usize) {
        self.free_bytes.fetch_add(bytes, Ordering::AcqRel);
        if self.state().queue.has_waiting() {
            self.work.notify_all();
        }
    }

    /// The next job, with how much memory is reserved for it; `None` once the pool is closed.
    ///
    /// While one waits for memory none passes it, so that it gets its turn.
    fn next(&self) -> Option<(Started<Job>, usize)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            let mut reserved = 0;
            let next = state.queue.next(|cost, job| {
                // One that no call waits for needs no memory, and is to get out of the way.
                let is_cancelled = job.slot.lock().unwrap_or_else(PoisonError::into_inner).is_none();
                reserved = if is_cancelled { 0 } else { cost.weight };
                is_cancelled || reserve(&self.free_bytes, cost.weight)
            });
            if let Some(started) = next {
                return Some((started, reserved));
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Takes so much of what may be occupied, if it is free.
fn reserve(free_bytes: &AtomicUsize, bytes: usize) -> bool {
    free_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(bytes)).is_ok()
}

#[cfg(test)]
mod tests;
