//! Reads a body with buffers that each thread keeps, so that a push costs no allocation.

use std::cell::RefCell;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use remote_write::{BodyError, BodyLimits, Exemplars, Protocol, PushCounts, Scratch, read_push};
use tokio::sync::Semaphore;

/// A thread keeps buffers up to this size; the rare larger push gives its memory back.
const KEEP_BYTES: usize = 4 << 20;

/// A body up to this size is read where its question is answered. A larger one, which may take milliseconds, is read on a thread of its own, so
/// that small pushes and health checks do not wait behind it.
const READ_IN_PLACE_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads bodies; at most as many large ones at once as there are cores.
#[derive(Debug)]
pub(super) struct BodyReader {
    limits: BodyLimits,
    large: Arc<Semaphore>,
}

impl BodyReader {
    pub(super) fn new(limits: BodyLimits) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self { limits, large: Arc::new(Semaphore::new(cores)) }
    }

    /// The counts of a body; `None` if the server is going down and reads no more.
    pub(super) async fn read(
        &self,
        protocol: Protocol,
        body: &Bytes,
        exemplars: Exemplars,
    ) -> Option<Result<PushCounts, BodyError>> {
        if body.len() <= READ_IN_PLACE_BYTES {
            return Some(read(protocol, body, self.limits, exemplars));
        }
        let permit = Arc::clone(&self.large).acquire_owned().await.ok()?;
        let (body, limits) = (body.clone(), self.limits);
        let reading = tokio::task::spawn_blocking(move || {
            let counts = read(protocol, &body, limits, exemplars);
            drop(permit);
            counts
        });
        reading.await.ok()
    }
}

fn read(protocol: Protocol, body: &[u8], limits: BodyLimits, exemplars: Exemplars) -> Result<PushCounts, BodyError> {
    SCRATCH.with_borrow_mut(|scratch| {
        let counts = read_push(protocol, body, limits, exemplars, scratch);
        scratch.shrink(KEEP_BYTES);
        counts
    })
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };

    #[tokio::test]
    async fn only_large_bodies_leave_the_thread_they_came_on() {
        let reader = BodyReader::new(LIMITS);
        let cores = u32::try_from(reader.large.available_permits()).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        for (size, at_once) in [(READ_IN_PLACE_BYTES, true), (READ_IN_PLACE_BYTES + 1, false)] {
            let body = Bytes::from(vec![0xff; size]);
            // No other thread can be done before the first look.
            let busy = reader.large.acquire_many(cores).await.unwrap();
            let mut reading = pin!(reader.read(Protocol::V1, &body, Exemplars::Skip));
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
            assert_eq!(verdict, Some(Err(BodyError::SnappyLength)));
        }
    }

    #[tokio::test]
    async fn large_bodies_are_read_as_many_at_once_as_there_are_cores() {
        let reader = BodyReader::new(LIMITS);
        let cores = reader.large.available_permits();
        let taken = reader.large.acquire_many(u32::try_from(cores).unwrap()).await.unwrap();
        let body = Bytes::from(vec![0xff; READ_IN_PLACE_BYTES + 1]);
        let mut waiting = pin!(reader.read(Protocol::V1, &body, Exemplars::Skip));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(taken);
        assert!(waiting.await.is_some());
        assert_eq!(reader.large.available_permits(), cores, "a permit comes back");
    }
}
