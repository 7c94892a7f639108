//! Ending in order: the first SIGTERM or SIGINT asks for a drain, a second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two requests to stop that a process can get.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled by the first signal: stop taking new work, finish what is there.
    pub drain: CancellationToken,
    /// Cancelled by the second signal: stop now.
    pub abort: CancellationToken,
}

/// Turns SIGTERM and SIGINT into a [`Shutdown`].
///
/// # Errors
/// When the signal handlers cannot be installed.
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
