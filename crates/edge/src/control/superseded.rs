//! Frees what no longer decides pushes.
//!
//! The limits of 100,000 tenants take a tenth of a second to free. The last push that is decided by them must not do that, or its client would wait for
//! it. So whatever is replaced has an owner here until no push uses it: a thread, which starts with the first part and ends with this.

use std::any::Any;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// How often it is checked whether pushes still use a part.
const CHECK_EVERY: Duration = Duration::from_millis(100);

type Part = Arc<dyn Any + Send + Sync>;

/// The parts of the control state that were replaced.
#[derive(Debug, Default)]
pub(super) struct Superseded {
    parts: OnceLock<Sender<Part>>,
}

impl Superseded {
    /// Keeps a part until nothing else refers to it. Without the thread, also once that has panicked, its last user frees it: pushes are decided
    /// as before, some later.
    pub(super) fn add(&self, part: Part) {
        // Its only error is that there is no thread.
        drop(self.parts.get_or_init(start).send(part));
    }
}

fn start() -> Sender<Part> {
    let (sender, parts) = channel();
    let thread = thread::Builder::new().name("superseded".to_owned()).spawn(move || free_unused(&parts));
    if let Err(error) = thread {
        tracing::warn!("pushes free the limits that were replaced, and may take longer for that: {error}");
    }
    sender
}

fn free_unused(parts: &Receiver<Part>) {
    let mut used: Vec<Part> = Vec::new();
    loop {
        let next = if used.is_empty() {
            parts.recv().map_err(RecvTimeoutError::from)
        } else {
            parts.recv_timeout(CHECK_EVERY)
        };
        match next {
            // A part that comes back into use may be replaced again.
            Ok(part) if used.iter().any(|held| Arc::ptr_eq(held, &part)) => {}
            Ok(part) => used.push(part),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        used.retain(|part| Arc::strong_count(part) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says on which thread it is freed.
    struct Part(Sender<thread::ThreadId>);

    impl Drop for Part {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn the_last_user_of_a_part_does_not_free_it() {
        let (freed, freed_on) = channel();
        let superseded = Superseded::default();
        let part = Arc::new(Part(freed));
        // Replaced twice, as where an operator goes back to a former document.
        superseded.add(part.clone());
        superseded.add(part.clone());
        assert_eq!(freed_on.recv_timeout(2 * CHECK_EVERY), Err(RecvTimeoutError::Timeout), "it is in use");
        drop(part);
        assert_ne!(freed_on.recv_timeout(Duration::from_secs(10)).unwrap(), thread::current().id());
    }
}
