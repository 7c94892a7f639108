//! Frees what no longer decides pushes.
//!
//! The limits of 100,000 tenants take a tenth of a second to free. The last push that is decided by them must not do that, or its client would wait for
//! it. So whatever is replaced has an owner here until no push uses it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How often it is checked whether pushes still use a part.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Keeps a part of the control state until nothing else refers to it, and frees it on a thread that decides no pushes. Outside of a runtime, where a
/// state is built but decides nothing yet, it is freed as usual.
pub(super) fn free_later<T: Send + Sync + 'static>(part: Arc<T>) {
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        while Arc::strong_count(&part) > 1 {
            sleep(CHECK_EVERY).await;
        }
        // Its only error is a panic, which is logged.
        drop(spawn_blocking(move || drop(part)).await);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Says on which thread it is freed.
    struct Part(mpsc::Sender<thread::ThreadId>);

    impl Drop for Part {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[tokio::test]
    async fn the_last_user_of_a_part_does_not_free_it() {
        let (freed, freed_on) = mpsc::channel();
        let part = Arc::new(Part(freed));
        let last_user = Arc::clone(&part);
        free_later(part);
        sleep(CHECK_EVERY).await;
        drop(last_user);
        assert_eq!(freed_on.try_recv(), Err(mpsc::TryRecvError::Empty));
        let thread = tokio::task::spawn_blocking(move || freed_on.recv_timeout(Duration::from_secs(10))).await;
        assert_ne!(thread.unwrap().unwrap(), thread::current().id());
    }
}
