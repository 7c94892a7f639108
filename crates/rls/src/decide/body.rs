//! Reads bodies with buffers that each thread keeps, so that a push costs no allocation, and not more of them at once than there is time for.
//!
//! What a body costs to read is what it decompresses to, and a few kilobytes can be a megabyte; relabelling makes it dearer by far. So larger ones are read on threads of their
//! own, as many at once as there are cores, and what waits for that is bounded by a budget: whoever asks gets an answer while it still
//! listens, and a tenant cannot fill the queue that others wait in.

use std::cell::RefCell;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use remote_write::{BodyError, BodyLimits, Scratch, claimed_bytes};
use tokio::sync::Semaphore;

use super::reading::{Read, Reading};
use crate::budget::{Budget, Full, SHARES};

/// A thread keeps buffers up to this size; the rare larger push gives its memory back.
const KEEP_BYTES: usize = 4 << 20;

/// A body of up to so many bytes, compressed and decompressed, is read where its question is answered, which takes up to half a millisecond.
/// A larger one is read on a thread of its own, so that small pushes and health checks do not wait behind it.
const READ_IN_PLACE_BYTES: usize = 64 << 10;
const READ_IN_PLACE_DECODED_BYTES: usize = 256 << 10;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads bodies; at most `at_once` large ones at the same time.
#[derive(Debug)]
pub(super) struct BodyReader {
    limits: BodyLimits,
    large: Arc<Semaphore>,
    /// Decompressed bytes that wait to be read or are being read, those of tenants with relabelling many times. A core reads some 300 MB of them
    /// in a second.
    queue: Arc<Budget>,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotRead {
    /// Too much waits to be read before it.
    Overloaded(Full),
    /// The process ends.
    GoingDown,
}

impl BodyReader {
    /// A reader that keeps every core busy.
    pub(super) fn new(limits: BodyLimits) -> Self {
        Self::with_threads(limits, available_parallelism().map_or(1, NonZero::get))
    }

    pub(super) fn with_threads(limits: BodyLimits, at_once: usize) -> Self {
        // A tenant's share holds the largest body, or it would never be read.
        let queue = Budget::new(limits.max_decoded_bytes.saturating_mul(SHARES));
        Self { limits, large: Arc::new(Semaphore::new(at_once)), queue }
    }

    /// What a tenant's body holds.
    pub(super) async fn read(
        &self,
        tenant: &str,
        body: &Bytes,
        reading: Reading,
    ) -> Result<Result<Read, BodyError>, NotRead> {
        // A claim over the limit is refused without the work, as is one that is no claim.
        let claimed = claimed_bytes(body).filter(|claimed| *claimed <= self.limits.max_decoded_bytes).unwrap_or(0);
        // At most a tenant's share, or it would never be read.
        let work = claimed.saturating_mul(reading.effort()).min(self.limits.max_decoded_bytes);
        if body.len() <= READ_IN_PLACE_BYTES && work <= READ_IN_PLACE_DECODED_BYTES {
            return Ok(read(body, self.limits, &reading));
        }
        let waiting = self.queue.reserve(Some(tenant), work).map_err(NotRead::Overloaded)?;
        let permit = Arc::clone(&self.large).acquire_owned().await.map_err(|_| NotRead::GoingDown)?;
        let (body, limits) = (body.clone(), self.limits);
        let reading = tokio::task::spawn_blocking(move || {
            let read = read(&body, limits, &reading);
            drop((permit, waiting));
            read
        });
        reading.await.map_err(|_| NotRead::GoingDown)
    }
}

fn read(body: &[u8], limits: BodyLimits, reading: &Reading) -> Result<Read, BodyError> {
    SCRATCH.with_borrow_mut(|scratch| {
        let read = reading.read(body, limits, scratch);
        scratch.shrink(KEEP_BYTES);
        read
    })
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use remote_write::{Protocol, Validation};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };

    fn plain() -> Reading {
        Reading::plain(Protocol::V1, Validation::new(&limits::TenantLimits::default()), 0)
    }

    #[tokio::test]
    async fn only_large_bodies_leave_the_thread_they_came_on() {
        let reader = BodyReader::new(LIMITS);
        let cores = u32::try_from(reader.large.available_permits()).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        for (size, at_once) in [(READ_IN_PLACE_BYTES, true), (READ_IN_PLACE_BYTES + 1, false)] {
            let body = Bytes::from(vec![0xff; size]);
            // No other thread can be done before the first look.
            let busy = reader.large.acquire_many(cores).await.unwrap();
            let mut reading = pin!(reader.read("t", &body, plain()));
            let first_look = reading.as_mut().poll(&mut context);
            drop(busy);
            let verdict = match first_look {
                Poll::Ready(verdict) => {
                    assert!(at_once);
                    verdict
                }
                Poll::Pending => {
                    assert!(!at_once);
                    reading.await
                }
            };
            assert_eq!(verdict, Ok(Err(BodyError::SnappyLength)));
        }
    }

    #[tokio::test]
    async fn large_bodies_are_read_as_many_at_once_as_there_are_cores() {
        let reader = BodyReader::new(LIMITS);
        let cores = reader.large.available_permits();
        let taken = reader.large.acquire_many(u32::try_from(cores).unwrap()).await.unwrap();
        let body = Bytes::from(vec![0xff; READ_IN_PLACE_BYTES + 1]);
        let mut waiting = pin!(reader.read("t", &body, plain()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(taken);
        assert!(waiting.await.is_ok());
        assert_eq!(reader.large.available_permits(), cores, "a permit comes back");
    }

    fn zeros(decoded: usize) -> Bytes {
        snap::raw::Encoder::new().compress_vec(&vec![0; decoded]).unwrap().into()
    }

    #[tokio::test]
    async fn a_small_body_that_is_large_when_decompressed_leaves_its_thread_too() {
        let reader = BodyReader::new(LIMITS);
        let body = zeros(READ_IN_PLACE_DECODED_BYTES + 1);
        assert!(body.len() < READ_IN_PLACE_BYTES);
        let busy = reader.large.acquire_many(u32::try_from(reader.large.available_permits()).unwrap()).await.unwrap();
        let mut reading = pin!(reader.read("t", &body, plain()));
        assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(busy);
        assert!(reading.await.is_ok());
    }

    #[tokio::test]
    async fn what_waits_to_be_read_is_bounded_for_a_tenant_and_for_all() {
        let reader = BodyReader::new(LIMITS);
        let cores = u32::try_from(reader.large.available_permits()).unwrap();
        let busy = reader.large.acquire_many(cores).await.unwrap();
        // As much as a tenant may have, decompressed.
        let body = zeros(LIMITS.max_decoded_bytes);
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Vec::new();
        for tenant in ["a", "b", "c", "d"] {
            let mut reading = Box::pin(reader.read(tenant, &body, plain()));
            assert!(reading.as_mut().poll(&mut context).is_pending());
            let more = reader.read(tenant, &body, plain()).await;
            assert_eq!(more, Err(NotRead::Overloaded(Full::Share)), "{tenant}");
            waiting.push(reading);
        }
        let others = reader.read("e", &body, plain()).await;
        assert_eq!(others, Err(NotRead::Overloaded(Full::Edge)));
        assert!(reader.read("a", &zeros(9), plain()).await.is_ok(), "small ones go on");
        drop(busy);
        for reading in waiting {
            assert!(reading.await.is_ok());
        }
        assert_eq!(reader.queue.reserved(), 0, "everything is given back");
    }
}
