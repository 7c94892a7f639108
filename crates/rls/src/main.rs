//! `mimir-rls`: parses its arguments, builds the server, and runs it until a signal stops it.

use std::process::ExitCode;

use rls::{App, Args, Config};
use runtime::run_program;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run_program::<Args, Config>(
        "mimir-rls",
        |config| &mut config.server,
        async |config, logs, shutdown| App::build(config, logs).await?.run(shutdown).await,
    )
}
