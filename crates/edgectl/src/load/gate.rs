//! Lets a worker go on when a push is due.
//!
//! A thread of its own keeps the time: it wakes to some 50 µs, where tokio's timers have whole milliseconds, which would be a large part of a
//! latency that is measured from when a push was due.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::Semaphore;

use super::pacer::Schedule;

/// The gate, with its thread.
pub(crate) struct Gate {
    due: Arc<Semaphore>,
    end: Arc<End>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    /// Opens for each push of a schedule, and at its end once more for each worker. Without a rate it is always open.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn start(schedule: Schedule, start: Instant, workers: u32) -> anyhow::Result<Self> {
        let (due, end) = (Arc::new(Semaphore::new(0)), Arc::new(End::default()));
        let keeper = Keeper { schedule, start, workers, due: Arc::clone(&due), end: Arc::clone(&end) };
        let spawn = || thread::Builder::new().name("pacer".to_owned()).spawn(move || keeper.run());
        let thread = schedule.is_paced().then(spawn).transpose().context("start the pacer")?;
        Ok(Self { due, end, thread })
    }

    /// Waits until a push is due that no other worker has.
    pub(crate) async fn pass(&self) {
        if self.thread.is_some()
            && let Ok(permit) = self.due.acquire().await
        {
            permit.forget();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.end.come();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

/// Whether the run is over.
#[derive(Default)]
struct End {
    has_come: Mutex<bool>,
    comes: Condvar,
}

impl End {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_come.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn come(&self) {
        *self.lock() = true;
        self.comes.notify_all();
    }

    /// Waits for it, for so long at most; whether it has come.
    fn within(&self, time: Duration) -> bool {
        let waited = self.comes.wait_timeout_while(self.lock(), time, |has_come| !*has_come);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

struct Keeper {
    schedule: Schedule,
    start: Instant,
    workers: u32,
    due: Arc<Semaphore>,
    end: Arc<End>,
}

impl Keeper {
    fn run(self) {
        let mut number = 0;
        while let Some(due) = self.schedule.due(number) {
            if self.end.within(due.saturating_sub(self.start.elapsed())) {
                return;
            }
            self.due.add_permits(1);
            number += 1;
        }
        self.due.add_permits(self.workers as usize);
    }
}
