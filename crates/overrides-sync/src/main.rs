//! `overrides-sync`: reads its arguments, builds the server, and runs it until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use overrides_sync::{App, Args, Config};

/// Exit code for bad usage, as in BSD's `sysexits.h`.
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for = !error.use_stderr();
            let printed = error.print().is_ok();
            return if asked_for && printed { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) };
        }
    };
    let config = match Config::try_from(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("overrides-sync: {error:#}\n\nFor more information, try '--help'.");
            return ExitCode::from(EX_USAGE);
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overrides-sync: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    let logs = runtime::init_logs(&config.logs)?;
    let workers = tokio::runtime::Runtime::new()?;
    let served = workers.block_on(async {
        let shutdown = runtime::listen_for_signals()?;
        App::build(config, logs.handle.clone()).await?.run(shutdown).await
    });
    // A thread that hangs in a file system must not keep the process.
    workers.shutdown_background();
    served
}
