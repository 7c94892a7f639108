//! Decodes bodies on threads of its own, in an order that is fair to tenants ([`super::fair_queue`]).
//!
//! Most bodies are decoded in place, on the thread of their call. Those that would take longer, because they are large or their tenant has expensive
//! rules, are decoded here. Time and memory are bounded separately: a body waits as long as its call, which is answered before its caller times out;
//! and its memory is reserved before it is decoded. A tenant's rules therefore slow down its own pushes, and deny none of them.
//!
//! Invariants: the threads occupy at most [`DecodePool::max_bytes`], with half of it for one tenant, and bodies in place at most
//! [`DecodePool::max_bytes_in_place`]; all threads together also keep [`KEEP_BYTES_OF_ALL`] between two bodies. A body whose call has ended is neither
//! kept nor decoded.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use bytes::Bytes;
use remote_write::{BodyLimits, claimed_bytes, working_bytes};
use tasks::Tasks;
use tokio::sync::oneshot;

use super::fair_queue::{Cost, FairQueue, Started, TenantCap};
use super::{Contents, DECODED_WITHIN, DecodePlan, decode, free_buffers};
use crate::policy::Charge;

/// How many bodies of the largest size are decoded at once, whatever the number of cores; of default batches, some twenty.
const LARGEST_AT_ONCE: usize = 2;

/// A body up to this size, compressed and decompressed, is decoded in place: 2 to 4 ms. A default batch of Prometheus, 2,000
/// samples, has half of it. Larger ones go to the threads, so that small pushes and health checks do not wait behind them.
const IN_PLACE_BYTES: usize = 256 << 10;
const IN_PLACE_DECODED_BYTES: usize = 1 << 20;
/// At most this many at once; further ones go to the threads.
const IN_PLACE_AT_ONCE: usize = 4;

/// What the threads keep of their buffers between two bodies, all together and one of them at most. A buffer that is allocated for each body costs
/// as much as decoding: the system clears its pages. Of bodies up to 9 MiB decompressed, some 70,000 samples, a thread keeps it.
const KEEP_BYTES_OF_ALL: usize = 64 << 20;
const KEEP_BYTES_OF_A_THREAD: usize = 12 << 20;
/// A thread that has waited for a body for so long frees its buffers.
const IDLE: Duration = Duration::from_secs(10);

/// What a core decodes in a second, to estimate how long a body takes.
const BYTES_PER_SECOND: f64 = 300e6;

/// The lane of dry runs; no tenant can have this name.
const DRY_RUNS: &str = "<dry-run>";

/// A pool of decoding threads, which end with it.
#[derive(Debug)]
pub struct DecodePool {
    limits: BodyLimits,
    pool: Arc<Pool>,
}

/// The lane in which a body waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane<'t> {
    Tenant(&'t str),
    /// No decision waits for more than one of these.
    DryRun,
}

impl<'t> Lane<'t> {
    pub(crate) fn of(charge: Charge, tenant: &'t str) -> Self {
        match charge {
            Charge::Commit => Self::Tenant(tenant),
            Charge::DryRun => Self::DryRun,
        }
    }
}

/// A body to decode. The waiting call takes it back when it ends.
type Slot = Arc<Mutex<Option<(Bytes, DecodePlan)>>>;

#[derive(Debug)]
struct Job {
    slot: Slot,
    answer: oneshot::Sender<Contents>,
    queued: Instant,
}

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
    /// For the threads.
    free_bytes: AtomicUsize,
    /// For bodies decoded in place, so that no large body takes their room.
    free_bytes_in_place: AtomicUsize,
    max_bytes: usize,
    /// What each thread keeps of its buffers.
    keep_bytes: usize,
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Job>,
    closed: bool,
}

impl DecodePool {
    /// Starts one thread more than `threads`, or than there are cores. One tenant uses all but one of them.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(limits: BodyLimits, threads: Option<NonZero<usize>>, tasks: &Tasks) -> io::Result<Self> {
        let cores = threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
        let pool = Self::without_threads(limits, cores);
        for number in 0..=cores {
            pool.start_thread(number, tasks)?;
        }
        Ok(pool)
    }

    pub(crate) fn start_thread(&self, number: usize, tasks: &Tasks) -> io::Result<()> {
        let (pool, limits) = (Arc::clone(&self.pool), self.limits);
        tasks.spawn_thread(format!("decoder-{number}"), move || pool.decode_until_closed(limits))
    }

    pub(crate) fn without_threads(limits: BodyLimits, max_per_tenant: usize) -> Self {
        let max_bytes = Self::max_bytes(limits);
        // The largest body of one tenant, or many small ones. The other half is for other tenants.
        let cap = TenantCap { jobs: max_per_tenant, weight: max_bytes / LARGEST_AT_ONCE };
        let pool = Pool {
            state: Mutex::new(State { queue: FairQueue::new(cap), closed: false }),
            work: Condvar::new(),
            free_bytes: AtomicUsize::new(max_bytes),
            free_bytes_in_place: AtomicUsize::new(Self::max_bytes_in_place()),
            max_bytes,
            keep_bytes: KEEP_BYTES_OF_A_THREAD.min(KEEP_BYTES_OF_ALL / (max_per_tenant + 1)),
        };
        Self { limits, pool: Arc::new(pool) }
    }

    /// The most bytes that the threads occupy, however many they are.
    #[must_use]
    pub fn max_bytes(limits: BodyLimits) -> usize {
        working_bytes(limits.max_decoded_bytes).saturating_mul(LARGEST_AT_ONCE)
    }

    /// The most bytes that bodies decoded in place occupy.
    #[must_use]
    pub fn max_bytes_in_place() -> usize {
        working_bytes(IN_PLACE_DECODED_BYTES).saturating_mul(IN_PLACE_AT_ONCE)
    }

    /// Decodes a body, in place or on a thread of the pool.
    pub(crate) async fn decode(&self, lane: Lane<'_>, body: &Bytes, plan: &DecodePlan) -> Contents {
        // A claim that is over the limit or invalid is denied without work.
        let claimed = claimed_bytes(body).filter(|claimed| *claimed <= self.limits.max_decoded_bytes).unwrap_or(0);
        let work = claimed.saturating_mul(plan.effort());
        // More than the total would never be free.
        let bytes = working_bytes(claimed).min(self.pool.max_bytes);
        let is_short = body.len() <= IN_PLACE_BYTES && work <= IN_PLACE_DECODED_BYTES && plan.is_steady();
        if is_short && reserve(&self.pool.free_bytes_in_place, bytes) {
            let decoded = decode(body, self.limits, plan, super::KEEP_BYTES);
            self.pool.free_bytes_in_place.fetch_add(bytes, Ordering::AcqRel);
            return decoded;
        }
        let cost = Cost { estimate: Duration::from_secs_f64(work as f64 / BYTES_PER_SECOND), weight: bytes };
        let slot: Slot = Arc::new(Mutex::new(Some((body.clone(), plan.clone()))));
        let (answer, answered) = oneshot::channel();
        let cancel = CancelOnDrop(Arc::clone(&slot));
        let lane = match lane {
            Lane::Tenant(tenant) => tenant,
            Lane::DryRun => DRY_RUNS,
        };
        self.pool.state().queue.push(lane, cost, Job { slot, answer, queued: Instant::now() });
        self.pool.work.notify_one();
        let decoded = answered.await;
        drop(cancel);
        decoded.unwrap_or(Contents::Failed)
    }
}

impl Drop for DecodePool {
    fn drop(&mut self) {
        self.pool.state().closed = true;
        self.pool.work.notify_all();
    }
}

/// Frees a body as soon as no call waits for it.
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
    /// No code panics while it holds the lock, so a poisoned state is still consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode_until_closed(&self, limits: BodyLimits) {
        while let Some((Started { tenant, cost, job: Job { slot, answer, queued } }, reserved)) = self.next() {
            let started = Instant::now();
            if let Some((body, mut plan)) = take(&slot) {
                // Its bucket has earned more meanwhile than was taken for granted: it would be decoded twice, in the middle of an overload.
                if queued.elapsed() > DECODED_WITHIN / 2 {
                    plan.validate_all();
                }
                // The call may have ended.
                drop(answer.send(decode(&body, limits, &plan, self.keep_bytes)));
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

    /// The next job and the memory reserved for it; `None` once the pool is closed.
    ///
    /// While there is none for long, the thread frees its buffers. No job overtakes one that waits for memory, so that a large body is not starved.
    fn next(&self) -> Option<(Started<Job>, usize)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            let mut reserved = 0;
            let next = state.queue.next(|cost, job| {
                // A cancelled job needs no memory, and must not block the others.
                let is_cancelled = job.slot.lock().unwrap_or_else(PoisonError::into_inner).is_none();
                reserved = if is_cancelled { 0 } else { cost.weight };
                is_cancelled || reserve(&self.free_bytes, cost.weight)
            });
            if let Some(started) = next {
                return Some((started, reserved));
            }
            let waited = self.work.wait_timeout(state, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                drop(state);
                free_buffers();
                state = self.state();
            }
        }
    }
}

/// Reserves `bytes` if they are free.
fn reserve(free_bytes: &AtomicUsize, bytes: usize) -> bool {
    free_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(bytes)).is_ok()
}

#[cfg(test)]
mod tests;
