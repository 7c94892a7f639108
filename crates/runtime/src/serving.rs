//! Serves the gRPC and the HTTP side, and drains them in order. The first SIGTERM or SIGINT starts the drain, a second one ends the process at once. So
//! does the failure of a task, and then the process ends with an error.

use std::future::Future;
use std::time::Duration;

use anyhow::{anyhow, bail};
use axum::Router;
use tasks::Tasks;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{HttpServer, Readiness};

/// How long the last responses of a drain may take to be sent, once no call is in flight.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// What a server needs to serve and to drain.
#[derive(Debug)]
pub struct Serving {
    /// The HTTP side, which serves metrics and probes to the end.
    pub http: HttpServer,
    /// The routes of the HTTP side.
    pub routes: Router,
    /// Is set to draining by the first signal.
    pub readiness: Readiness,
    /// How long to go on accepting after the first signal, already unhealthy.
    pub drain_delay: Duration,
    /// How long calls in flight may take to finish after that.
    pub drain_timeout: Duration,
    /// The tasks of which a failure ends the server.
    pub tasks: Tasks,
    /// Stops the sources of limits: after the drain, so that calls use the newest limits until then.
    pub sources: DropGuard,
    /// Ends when the limits cache is written, after the sources have stopped.
    pub cache: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves until `shutdown` asks for a drain or a task fails, then drains: unhealthy at once, accepting for the drain delay, then the calls in flight.
    ///
    /// `grpc` serves until its tasks are stopped, and ends when its connections have ended. `calls_ended` is ready when no call is in flight: the drain
    /// does not wait for a peer that only holds a connection open.
    ///
    /// # Errors
    /// A task failed, a side ended by itself, or a second signal came during the drain.
    pub async fn run<G>(
        self,
        grpc: impl FnOnce(Tasks) -> G,
        calls_ended: impl Future<Output = ()>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()>
    where
        G: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (grpc_stop, http_stop) = (CancellationToken::new(), CancellationToken::new());
        let mut http = tokio::spawn(self.http.serve(self.routes, self.tasks.with_stop(http_stop.clone())));
        let mut grpc = tokio::spawn(grpc(self.tasks.with_stop(grpc_stop.clone())));
        // Without one of its tasks the server would go on with what it has: limits, certificates or elections that grow old, unnoticed. A restart brings
        // the task back and costs no push: the drain answers the calls in flight, Envoy moves to other replicas meanwhile, the limits cache keeps the
        // limits, and clients repeat what a single replica denies with 503 until it is back. The HTTP side is such a task.
        let failure = tokio::select! {
            () = shutdown.drain.cancelled() => None,
            failure = self.tasks.failed() => Some(failure.into()),
            ended = &mut http => Some(ended_early(ended.map(Ok), "HTTP")),
            ended = &mut grpc => return Err(ended_early(ended, "gRPC")),
        };
        self.readiness.set_draining();
        tracing::info!(delay = ?self.drain_delay, timeout = ?self.drain_timeout, "draining");
        let drain = async {
            sleep(self.drain_delay).await;
            grpc_stop.cancel();
            timeout(self.drain_timeout, last_call(&mut grpc, calls_ended)).await
        };
        tokio::select! {
            drained = drain => match drained {
                Ok(()) => tracing::info!("drained"),
                Err(_) => tracing::warn!(timeout = ?self.drain_timeout, "calls were still in flight at the end of the drain"),
            },
            () = shutdown.abort.cancelled() => bail!("stopped by a second signal before the drain was over"),
        }
        http_stop.cancel();
        drop(self.sources);
        if let Some(cache) = self.cache {
            // Its failures are those of a task.
            drop(cache.await);
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Waits until the last call is answered.
async fn last_call(grpc: &mut JoinHandle<anyhow::Result<()>>, calls_ended: impl Future<Output = ()>) {
    let idle = async {
        calls_ended.await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = grpc => {}
        () = idle => {}
    }
}

fn ended_early(ended: Result<anyhow::Result<()>, JoinError>, side: &str) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("the {side} side ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => anyhow!("the {side} side failed: {error}"),
    }
}

/// The two steps of a shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled by the first signal: accept no new work, and finish what is in flight.
    pub drain: CancellationToken,
    /// Cancelled by the second signal: stop now.
    pub abort: CancellationToken,
}

/// Turns SIGTERM and SIGINT into a [`Shutdown`].
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn listen_for_signals() -> std::io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = Shutdown::default();
    let handles = shutdown.clone();
    tokio::spawn(async move {
        for token in [handles.drain, handles.abort] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests;
