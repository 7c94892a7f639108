//! A server's `main`: arguments, logs, signals, and the exit code.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::settings::Setting;
use crate::{LogHandle, LogSettings, ServerArgs, Shutdown, init_logs, listen_for_signals};

/// Exit code for bad usage, as in BSD's `sysexits.h`.
const EX_USAGE: u8 = 64;

/// Parses and checks the arguments, and runs `serve` until a signal stops it. `server` is where a configuration has the flags that all servers share.
/// Errors go to standard error, after the program's name.
///
/// The exit code is 0 after a drain and after `--help` or `--version`, 1 if the server cannot run, 64 for bad usage.
pub fn run_program<A, C>(
    name: &str,
    server: impl Fn(&mut C) -> &mut ServerArgs,
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
    let (args, settings) = match parse::<A>() {
        Ok(parsed) => parsed,
        Err(error) => {
            let asked_for = !error.use_stderr();
            let printed = error.print().is_ok();
            return if asked_for && printed { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) };
        }
    };
    let mut config = match C::try_from(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{name}: {error:#}\n\nFor more information, try '--help'.");
            return ExitCode::from(EX_USAGE);
        }
    };
    let shared = server(&mut config);
    shared.settings = settings;
    let logs = shared.logs.clone();
    match run(config, &logs, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments, and the flags as they are in force.
fn parse<A: Parser>() -> Result<(A, Arc<[Setting]>), clap::Error> {
    let mut command = A::command();
    let mut matches = command.try_get_matches_from_mut(env::args_os())?;
    let settings = Setting::all(&command, &matches);
    let args = A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    Ok((args, settings))
}

fn run<C>(
    config: C,
    logs: &LogSettings,
    serve: impl AsyncFnOnce(C, LogHandle, Shutdown) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let logs = init_logs(logs)?;
    let workers = Runtime::new()?;
    let served = workers.block_on(async {
        let shutdown = listen_for_signals()?;
        serve(config, logs.handle.clone(), shutdown).await
    });
    // A thread that hangs in a file system must not keep the process alive.
    workers.shutdown_background();
    served
}
