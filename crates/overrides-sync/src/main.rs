//! `overrides-sync`: reads its arguments, builds the server, and runs it until a signal stops it.

use std::process::ExitCode;

use overrides_sync::{App, Args, Config};
use runtime::run_program;

fn main() -> ExitCode {
    run_program::<Args, Config>(
        "overrides-sync",
        |config| &mut config.server,
        async |config, logs, shutdown| App::build(config, logs).await?.run(shutdown).await,
    )
}
