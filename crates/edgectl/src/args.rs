//! The command line, as clap reads it and as it is validated.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use http::{HeaderName, HeaderValue};

use crate::argv;
use crate::load::parse_duration;

mod api;
mod check;
mod cluster;
mod completions;
mod diagnose;
mod diff;
mod explain;
mod flow_test;
mod installation;
mod load;
mod mimir;
mod quick_setup;
mod rollout;
mod tap;
mod tenants;
mod usage;

pub(crate) use api::{ApiArgs, Output};
pub(crate) use check::{CheckArgs, Format};
pub(crate) use cluster::ClusterArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use diagnose::DiagnoseArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use flow_test::{FlowTestArgs, Phase};
pub(crate) use installation::InstallationArgs;
pub(crate) use load::{LoadArgs, Profile};
pub(crate) use mimir::{Credentials, ExtraHeaders, MimirArgs};
pub(crate) use quick_setup::{Platform, QuickSetupArgs};
pub(crate) use rollout::{RolloutCommand, RolloutStatusArgs};
pub(crate) use tap::TapArgs;
pub(crate) use tenants::TenantsArgs;
pub(crate) use usage::{Quantity, SimulateArgs, Sort, SuggestArgs, TopArgs};

const EXIT_CODES: &str = "\
Long flags may be written with one dash too: -url=X is --url=X.

Exit codes:
  0   no problem / no hop is broken / at least one push got an answer
  1   problems found / a hop is broken / a push would be denied / a step failed / do not go on / no push got an answer
  2   a document is rejected
  64  bad usage
  66  a file or a page of Mimir can't be read
  69  no replica of mimir-rls answers";

#[derive(Debug, Parser)]
#[command(name = "edgectl", version, about = "Check an installation and Mimir overrides, ask the edge what it decides, and load a remote-write endpoint", after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A subcommand with its arguments, validated by [`parse`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Box<CheckArgs>),
    Diagnose(Box<DiagnoseArgs>),
    Diff(Box<DiffArgs>),
    Explain(Box<ExplainArgs>),
    Tap(Box<TapArgs>),
    Tenants(Box<TenantsArgs>),
    Top(Box<TopArgs>),
    Simulate(Box<SimulateArgs>),
    Suggest(Box<SuggestArgs>),
    FlowTest(Box<FlowTestArgs>),
    /// Follow a rollout of the edge: mirror, canary, full
    #[command(subcommand)]
    Rollout(RolloutCommand),
    QuickSetup(Box<QuickSetupArgs>),
    LoadRemoteWrite(Box<LoadArgs>),
    Completions(CompletionsArgs),
}

impl Command {
    fn api(&mut self) -> Option<&mut ApiArgs> {
        match self {
            Self::Check(check) => Some(&mut check.installation.api),
            Self::Diagnose(diagnose) => Some(&mut diagnose.installation.api),
            Self::Explain(explain) => Some(&mut explain.api),
            Self::Tap(tap) => Some(&mut tap.api),
            Self::Tenants(tenants) => Some(&mut tenants.api),
            Self::Top(top) => Some(&mut top.api),
            Self::Simulate(simulate) => Some(&mut simulate.api),
            Self::Suggest(suggest) => Some(&mut suggest.api),
            Self::FlowTest(test) => Some(&mut test.api),
            Self::Rollout(_) | Self::QuickSetup(_) => None,
            Self::Completions(_) | Self::Diff(_) | Self::LoadRemoteWrite(_) => None,
        }
    }
}

/// The names of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Edgectl,
    /// kubectl runs a program of this name for `kubectl mimir-edge`.
    Plugin,
}

impl Name {
    const PLUGIN_FILE: &str = "kubectl-mimir_edge";

    fn of(argv: &[OsString]) -> Self {
        let file = argv.first().and_then(|program| Path::new(program).file_stem());
        if file.is_some_and(|file| file == Self::PLUGIN_FILE) { Self::Plugin } else { Self::Edgectl }
    }

    /// The command line, whose help says how it is called.
    fn command(self) -> clap::Command {
        let command = Cli::command().mut_subcommands(without_empty_variables);
        match self {
            Self::Edgectl => command,
            Self::Plugin => command.bin_name("kubectl mimir-edge").mut_subcommands(called_by_kubectl),
        }
    }
}

/// The examples as kubectl runs them.
fn called_by_kubectl(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(called_by_kubectl);
    let help = command.get_after_help().map(|help| help.to_string().replace("  edgectl ", "  kubectl mimir-edge "));
    match help {
        Some(help) => command.after_help(help),
        None => command,
    }
}

/// Ignores variables without a value, as mimirtool does: a line `MIMIR_TENANT_ID=` of a file with variables sets nothing.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(Resettable::<clap::builder::OsStr>::Reset),
        _ => argument,
    });
    command.mut_subcommands(without_empty_variables)
}

/// The definition of the command line.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Parses a command line, with the name of the program first.
///
/// # Errors
/// clap's: bad usage, or the help or version.
pub(crate) fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let argv: Vec<_> = argv.into_iter().collect();
    let name = Name::of(&argv);
    let arguments = argv::normalise(&Cli::command(), argv);
    let matches = name.command().try_get_matches_from(arguments).map_err(without_secrets)?;
    let Cli { mut command } = Cli::from_arg_matches(&matches)?;
    if let Some(api) = command.api() {
        api.is_plugin = name == Name::Plugin;
    }
    match &command {
        Command::Check(check) => check.validate()?,
        Command::Diff(diff) => diff.validate()?,
        Command::LoadRemoteWrite(load) => load.validate()?,
        Command::FlowTest(test) => test.validate()?,
        Command::Rollout(_) | Command::QuickSetup(_) => {}
        Command::Completions(_) | Command::Diagnose(_) | Command::Explain(_) | Command::Tap(_) => {}
        Command::Tenants(_) => {}
        Command::Top(_) | Command::Simulate(_) | Command::Suggest(_) => {}
    }
    Ok(command)
}

/// The error without the password of a URL and the value of a header, which may end in a log.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let (flag, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let shown = match value.rsplit_once('@') {
        _ if flag.starts_with("--header ") => "…".to_owned(),
        Some((before, host)) => {
            format!("{}…@{host}", before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://")))
        }
        None => return error,
    };
    error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    error
}

fn some_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(duration) }
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "can't be sent in a header: control characters".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME:VALUE")?;
    // No error repeats either: with a wrong colon, the name has the secret.
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "what is before the colon is no header name")?;
    let mut value = header_value(value.trim_start())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests;
