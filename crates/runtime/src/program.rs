//! A server's `main`: arguments, logs, signals, and the exit code.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::{LogHandle, LogSettings, Shutdown, init_logs, listen_for_signals};

/// Exit code for bad usage, as in BSD's `sysexits.h`.
const EX_USAGE: u8 = 64;

/// Parses and checks the arguments, and runs `serve` until a signal stops it. Errors go to standard error, after the program's name.
///
/// The exit code is 0 after a drain and after `--help` or `--version`, 1 if the server cannot run, 64 for bad usage.
pub fn run_program<A, C>(
    name: &str,
    logs: impl FnOnce(&C) -> &LogSettings,
    serve: impl AsyncFnOnce(C, LogHandle, Shutdown) -> anyhow::Result<()>,
) -> ExitCode
where
    A: Parser,
    C: TryFrom<A, Error = anyhow::Error>,
{
    // A buffer for a length that a client only claims must cost what arrives in it. A huge page costs 2 MiB at the first byte. The call fails
    // only on a Linux older than 3.15, where the server still runs.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for = !error.use_stderr();
            let printed = error.print().is_ok();
            return if asked_for && printed { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) };
        }
    };
    let config = match C::try_from(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{name}: {error:#}\n\nFor more information, try '--help'.");
            return ExitCode::from(EX_USAGE);
        }
    };
    match run(config, logs, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run<C>(
    config: C,
    logs: impl FnOnce(&C) -> &LogSettings,
    serve: impl AsyncFnOnce(C, LogHandle, Shutdown) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let logs = init_logs(logs(&config))?;
    let workers = Runtime::new()?;
    let served = workers.block_on(async {
        let shutdown = listen_for_signals()?;
        serve(config, logs.handle.clone(), shutdown).await
    });
    // A thread that hangs in a file system must not keep the process alive.
    workers.shutdown_background();
    served
}
