//! The operator's command line of the edge: checks overrides before they are applied, and generates load for a push endpoint.
//!
//! Every subcommand returns an exit code of `exit`; nothing below `main` ends the process.

use std::process::ExitCode;

mod args;
mod argv;
mod check;
mod exit;
mod load;

use args::Command;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return exit::usage(&error),
    };
    let outcome = match command {
        Command::Check(check) => check::run(&check),
        Command::LoadRemoteWrite(load) => load::run(*load),
    };
    outcome.unwrap_or_else(|error| exit::failure(&error))
}
