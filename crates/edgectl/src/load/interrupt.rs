//! Ctrl-C (and SIGTERM): the first ends the sending, the second ends the waiting for answers.

use std::io::{self, Write};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Listens from the moment it exists, so that no signal is lost between the first and the second.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    /// Cancels `stop` at the first signal and `abort` at the second.
    pub(super) async fn obey(mut self, stop: CancellationToken, abort: CancellationToken) {
        self.next().await;
        stop.cancel();
        let _ = writeln!(
            io::stderr().lock(),
            "edgectl: stopping once the pushes under way are answered; Ctrl-C again doesn't wait"
        );
        self.next().await;
        abort.cancel();
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
