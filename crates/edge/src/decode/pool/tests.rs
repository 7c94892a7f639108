//! Which bodies leave the thread that they came on, and what waits, occupies memory or fails on the others.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use remote_write::{BodyError, Protocol, Validation};

use super::*;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 16 << 20 };

fn plain() -> &'static DecodePlan {
    static PLAIN: LazyLock<DecodePlan> =
        LazyLock::new(|| DecodePlan::plain(Protocol::V1, Validation::new(&limits::TenantLimits::default()), 0));
    &PLAIN
}

/// A decoder panics at it.
fn fatal() -> &'static DecodePlan {
    static FATAL: LazyLock<DecodePlan> = LazyLock::new(|| DecodePlan { panics: true, ..plain().clone() });
    &FATAL
}

fn zeros(decoded: usize) -> Bytes {
    snap::raw::Encoder::new().compress_vec(&vec![0; decoded]).unwrap().into()
}

/// Lets a pool without threads decode everything that it holds.
fn decode_all(pool: &DecodePool) {
    pool.start_thread(0, &Tasks::default()).unwrap();
}

fn is_pending(decoding: Pin<&mut impl Future>) -> bool {
    decoding.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn only_large_bodies_leave_the_thread_they_came_on() {
    let pool = DecodePool::without_threads(LIMITS, 1);
    let mut context = Context::from_waker(Waker::noop());
    for (size, in_place) in [(IN_PLACE_BYTES, true), (IN_PLACE_BYTES + 1, false)] {
        let body = Bytes::from(vec![0xff; size]);
        let mut decoding = pin!(pool.decode(Lane::Tenant("t"), &body, plain()));
        assert_eq!(
            matches!(decoding.as_mut().poll(&mut context), Poll::Ready(Contents::Unreadable(BodyError::SnappyLength))),
            in_place
        );
    }
    let body = zeros(IN_PLACE_DECODED_BYTES + 1);
    assert!(body.len() < IN_PLACE_BYTES);
    let mut decoding = pin!(pool.decode(Lane::Tenant("t"), &body, plain()));
    assert!(is_pending(decoding.as_mut()), "a small body that is large when decompressed leaves too");
    decode_all(&pool);
    assert_ne!(decoding.await, Contents::Failed);
}

#[tokio::test]
async fn a_waiting_queue_never_denies_its_tenant() {
    let pool = DecodePool::without_threads(LIMITS, 1);
    let body = zeros(LIMITS.max_decoded_bytes);
    let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(pool.decode(Lane::Tenant("a"), &body, plain()))).collect();
    assert!(waiting.iter_mut().all(|decoding| is_pending(decoding.as_mut())));
    decode_all(&pool);
    for decoding in waiting {
        assert_ne!(decoding.await, Contents::Failed);
    }
}

#[tokio::test]
async fn bodies_of_ended_calls_are_neither_kept_nor_decoded() {
    let pool = DecodePool::without_threads(LIMITS, 1);
    let body = zeros(LIMITS.max_decoded_bytes);
    let mut decoding = Box::pin(pool.decode(Lane::Tenant("t"), &body, fatal()));
    assert!(is_pending(decoding.as_mut()));
    assert!(!body.is_unique());
    drop(decoding);
    assert!(body.is_unique(), "no task holds it");
    decode_all(&pool);
    assert_ne!(pool.decode(Lane::Tenant("t"), &body, plain()).await, Contents::Failed, "the next one is decoded");
}

#[tokio::test]
async fn decoding_at_once_stays_within_memory() {
    let pool = DecodePool::without_threads(LIMITS, 8);
    let large = zeros(LIMITS.max_decoded_bytes);
    let mut waiting: Vec<_> =
        ["a", "a", "b", "c"].map(|tenant| Box::pin(pool.decode(Lane::Tenant(tenant), &large, plain()))).into();
    assert!(waiting.iter_mut().all(|decoding| is_pending(decoding.as_mut())));
    let begin = || {
        let mut state = pool.pool.state();
        state.queue.next(|cost, _| reserve(&pool.pool.free_bytes, cost.weight))
    };
    let started: Vec<_> = std::iter::from_fn(begin).collect();
    let tenants: Vec<_> = started.iter().map(|started| &*started.tenant).collect();
    assert_eq!(tenants, ["a", "b"], "no tenant has more than half of it");
    let small = zeros(9);
    let mut decoding = pin!(pool.decode(Lane::Tenant("d"), &small, plain()));
    assert!(!is_pending(decoding.as_mut()), "what is decoded in place has memory of its own");
    for Started { tenant, cost, .. } in started {
        pool.pool.state().queue.finished(&tenant, cost, Duration::from_secs(1));
        pool.pool.release(cost.weight);
    }
    decode_all(&pool);
    assert_ne!(waiting.pop().unwrap().await, Contents::Failed);
    drop(waiting);
    // A decoder answers before it frees what it occupied.
    let all_is_free = async {
        while pool.pool.free_bytes.load(Ordering::Acquire) != pool.pool.max_bytes {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_is_free).await.unwrap();
}

#[tokio::test]
async fn decoding_in_place_is_bounded_and_overflows_to_the_pool() {
    let pool = DecodePool::without_threads(LIMITS, 1);
    let all = DecodePool::max_bytes_in_place();
    assert!(reserve(&pool.pool.free_bytes_in_place, all));
    let body = zeros(9);
    let mut decoding = pin!(pool.decode(Lane::Tenant("t"), &body, plain()));
    assert!(is_pending(decoding.as_mut()));
    decode_all(&pool);
    assert_ne!(decoding.await, Contents::Failed);
    pool.pool.free_bytes_in_place.fetch_add(all, Ordering::AcqRel);
    assert!(!is_pending(pin!(pool.decode(Lane::Tenant("t"), &body, plain()))));
    assert_eq!(pool.pool.free_bytes_in_place.load(Ordering::Acquire), all);
}

#[tokio::test]
async fn a_decoder_that_panics_is_an_error_and_goes_on() {
    let pool = DecodePool::without_threads(LIMITS, 1);
    decode_all(&pool);
    let large = zeros(2 * IN_PLACE_DECODED_BYTES);
    for body in [large, zeros(9)] {
        let failed = pool.decode(Lane::Tenant("t"), &body, fatal()).await;
        assert_eq!(failed, Contents::Failed);
        assert_ne!(pool.decode(Lane::Tenant("t"), &body, plain()).await, Contents::Failed);
    }
}

#[test]
fn threads_together_keep_bounded_buffers() {
    for cores in [1, 2, 4, 5, 16, 64] {
        let kept = DecodePool::without_threads(LIMITS, cores).pool.keep_bytes;
        assert!(kept <= KEEP_BYTES_OF_A_THREAD && kept * (cores + 1) <= KEEP_BYTES_OF_ALL, "{cores}: {kept}");
        assert!(cores > 4 || kept == KEEP_BYTES_OF_A_THREAD, "{cores}: {kept}");
    }
}
