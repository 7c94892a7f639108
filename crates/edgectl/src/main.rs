//! The operator's command line of the edge: checks an installation, and overrides before they are applied, asks mimir-rls what it decides and why, and
//! generates load for a push endpoint.
//!
//! Every subcommand returns an exit code of `exit`; nothing below `main` ends the process.

use std::process::ExitCode;

mod args;
mod argv;
mod buckets;
mod check;
mod completions;
mod diagnose;
mod diff;
mod edge_api;
mod exit;
mod explain;
mod flow_test;
mod input;
mod installation;
mod load;
mod mimir;
mod output;
mod quick_setup;
mod rollout;
mod steps;
mod tap;
mod tenants;
mod usage;
mod yaml;

use args::{Command, RolloutCommand};

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return exit::usage(&error),
    };
    let outcome = match command {
        Command::Check(check) => check::run(&check),
        Command::Completions(completions) => completions::run(&completions),
        Command::Diagnose(diagnose) => diagnose::run(&diagnose),
        Command::Diff(diff) => diff::run(&diff),
        Command::Explain(explain) => explain::run(&explain),
        Command::Tap(tap) => tap::run(&tap),
        Command::Tenants(tenants) => tenants::run(&tenants),
        Command::Top(top) => usage::top(&top),
        Command::Simulate(simulate) => usage::simulate(&simulate),
        Command::Suggest(suggest) => usage::suggest(&suggest),
        Command::FlowTest(test) => flow_test::run(&test),
        Command::Rollout(RolloutCommand::Status(status)) => rollout::status(&status),
        Command::QuickSetup(setup) => quick_setup::run(&setup),
        Command::LoadRemoteWrite(load) => load::run(*load),
    };
    outcome.unwrap_or_else(|error| exit::failure(&error))
}
