//! Serves the gRPC and the HTTP side, and drains them in order. The first SIGTERM or SIGINT starts the drain, a second one ends the process at once.

use std::future::Future;
use std::time::Duration;

use anyhow::{anyhow, bail};
use axum::Router;
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
    /// Stops the sources of limits: after the drain, so that calls use the newest limits until then.
    pub sources: DropGuard,
    /// Ends when the limits cache is written, after the sources have stopped.
    pub cache: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves until `shutdown` asks for a drain, then drains: unhealthy at once, accepting for the drain delay, then the calls in flight.
    ///
    /// `grpc` serves until its token is cancelled, and ends when its connections have ended. `calls_ended` is ready when no call is in flight: the drain
    /// does not wait for a peer that only holds a connection open.
    ///
    /// # Errors
    /// A side ended by itself, or a second signal came during the drain.
    pub async fn run<G>(
        self,
        grpc: impl FnOnce(CancellationToken) -> G,
        calls_ended: impl Future<Output = ()>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()>
    where
        G: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (grpc_stop, http_stop) = (CancellationToken::new(), CancellationToken::new());
        let mut http = tokio::spawn(self.http.serve(self.routes, http_stop.clone()));
        let mut grpc = tokio::spawn(grpc(grpc_stop.clone()));
        tokio::select! {
            () = shutdown.drain.cancelled() => {}
            ended = &mut http => return Err(ended_early(ended.map(Ok), "HTTP")),
            ended = &mut grpc => return Err(ended_early(ended, "gRPC")),
        }
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
            // Its only error is a panic, which was logged.
            drop(cache.await);
        }
        Ok(())
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
