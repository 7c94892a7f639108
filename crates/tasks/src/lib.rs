//! The tasks and threads that live as long as their server.
//!
//! Without one of them a server looks healthy and is not: its limits stay as they are, or its certificate expires. So a panic in one, or an end before
//! it is stopped, is a failure of the whole server. [`Tasks::failed`] returns it, and the server drains and exits with an error.
//!
//! `make check-layers` checks that servers spawn all others, which end with a call or a connection, where it lists them.

use std::any::Any;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Spawns tasks that are stopped together. Clones share the stop and the failure.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    stop: CancellationToken,
    failure: watch::Sender<Option<TaskFailure>>,
}

/// The first failure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TaskFailure {
    /// It panicked, which was logged.
    #[error("the task \"{0}\" panicked")]
    Panicked(String),
    /// It ended before it was stopped.
    #[error("the task \"{0}\" ended by itself")]
    Ended(String),
}

impl Tasks {
    /// Tasks that `stop` stops.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, failure: watch::Sender::default() }
    }

    /// Tasks that another token stops. Their failure is one of these.
    #[must_use]
    pub fn with_stop(&self, stop: CancellationToken) -> Self {
        Self { stop, failure: self.failure.clone() }
    }

    /// Cancelled once the tasks are to end.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a task until it is stopped, wherever it is then.
    pub fn spawn(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            stop.run_until_cancelled_owned(task).await;
        };
        drop(self.spawn_finishing(name, task));
    }

    /// Runs a task that looks for the stop itself, and has something to finish after it. Its handle returns no error.
    pub fn spawn_finishing(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let (tasks, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(()) if tasks.stop.is_cancelled() => {}
                Ok(()) => tasks.fail(TaskFailure::Ended(name)),
                Err(_) => tasks.fail(TaskFailure::Panicked(name)),
            }
        })
    }

    /// Runs a thread, which ends with its owner: only a panic is a failure.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn_thread(&self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let tasks = self.clone();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                tasks.fail(TaskFailure::Panicked(name));
            }
        });
        thread.map(drop)
    }

    /// Waits for a failure, and returns the first.
    pub async fn failed(&self) -> TaskFailure {
        let mut failures = self.failure.subscribe();
        loop {
            if let Some(failure) = &*failures.borrow_and_update() {
                return failure.clone();
            }
            // These tasks keep the sender.
            drop(failures.changed().await);
        }
    }

    fn fail(&self, failure: TaskFailure) {
        tracing::error!("{failure}");
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
    }
}

/// Runs `work` on a blocking thread. A panic in it goes on in the caller, so that it fails its task.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let panic: Box<dyn Any + Send> = match tokio::task::spawn_blocking(work).await {
        Ok(done) => return done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic,
            // The runtime shuts down, and drops this task too.
            Err(_) => return pending().await,
        },
    };
    resume_unwind(panic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(tasks: &Tasks) -> Option<TaskFailure> {
        tasks.failed().now_or_never()
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_also_after_the_stop() {
        for is_stopped in [false, true] {
            let tasks = Tasks::default();
            if is_stopped {
                tasks.stop().cancel();
            }
            tasks.spawn_finishing("a", async { panic!("the test wants it") }).await.unwrap();
            assert_eq!(failed(&tasks), Some(TaskFailure::Panicked("a".to_owned())));
        }
    }

    #[tokio::test]
    async fn an_end_is_a_failure_before_the_stop_alone() {
        let tasks = Tasks::default();
        tasks.spawn("b", async {});
        assert_eq!(tasks.failed().await, TaskFailure::Ended("b".to_owned()));
        let tasks = Tasks::default();
        let (stop, is_stopped) = (tasks.stop().clone(), tasks.stop().clone());
        tasks.spawn("c", pending());
        let finishing = tasks.spawn_finishing("d", async move { is_stopped.cancelled().await });
        stop.cancel();
        finishing.await.unwrap();
        assert_eq!(failed(&tasks), None);
    }

    #[tokio::test]
    async fn the_first_failure_of_all_stops_counts() {
        let tasks = Tasks::default();
        let others = tasks.with_stop(CancellationToken::new());
        others.spawn("of others", async {});
        let first = TaskFailure::Ended("of others".to_owned());
        assert_eq!(tasks.failed().await, first);
        tasks.spawn_finishing("later", async {}).await.unwrap();
        assert_eq!((failed(&tasks), failed(&others)), (Some(first.clone()), Some(first)));
    }

    #[tokio::test]
    async fn a_thread_may_end_but_not_panic() {
        let tasks = Tasks::default();
        let (sender, ended) = tokio::sync::oneshot::channel();
        tasks.spawn_thread("e".to_owned(), move || sender.send(()).unwrap()).unwrap();
        ended.await.unwrap();
        tasks.spawn_thread("f".to_owned(), || panic!("the test wants it")).unwrap();
        assert_eq!(tasks.failed().await, TaskFailure::Panicked("f".to_owned()));
    }

    #[tokio::test]
    async fn a_panic_on_a_blocking_thread_fails_the_task() {
        assert_eq!(blocking(|| 1).await, 1);
        let tasks = Tasks::default();
        tasks.spawn("g", async { blocking(|| panic!("the test wants it")).await });
        assert_eq!(tasks.failed().await, TaskFailure::Panicked("g".to_owned()));
    }
}
