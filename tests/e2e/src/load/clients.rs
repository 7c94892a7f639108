//! The clients of a load, each on a thread of its own, and the tally that they share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Running clients; dropping them stops them.
#[derive(Debug)]
pub(crate) struct Clients<T> {
    tally: Arc<Mutex<T>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Default + Send + 'static> Clients<T> {
    /// Starts them; each runs until it is stopped.
    pub(crate) fn start<C>(clients: impl IntoIterator<Item = C>) -> Self
    where
        C: FnOnce(&Mutex<T>, &AtomicBool) + Send + 'static,
    {
        let (tally, stopping) = (Arc::new(Mutex::new(T::default())), Arc::new(AtomicBool::new(false)));
        let threads = clients.into_iter().map(|client| {
            let (tally, stopping) = (Arc::clone(&tally), Arc::clone(&stopping));
            thread::spawn(move || client(&tally, &stopping))
        });
        Self { threads: threads.collect(), tally, stopping }
    }
}

impl<T> Clients<T> {
    /// Looks at what they saw so far.
    pub(crate) fn seen<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets each finish its push.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl<T> Drop for Clients<T> {
    fn drop(&mut self) {
        self.stop();
    }
}
