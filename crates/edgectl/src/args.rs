//! The command line, as clap reads it and as it is validated.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, Resettable, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use http::{HeaderName, HeaderValue};

use crate::argv;
use crate::load::{Protocol, Url, parse_duration};

mod api;
mod check;
mod cluster;
mod completions;
mod diff;
mod explain;
mod mimir;
mod tap;
mod tenants;
mod usage;

pub(crate) use api::{ApiArgs, Output};
pub(crate) use check::{CheckArgs, Format};
pub(crate) use cluster::ClusterArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use mimir::{Credentials, MimirArgs};
pub(crate) use tap::TapArgs;
pub(crate) use tenants::TenantsArgs;
pub(crate) use usage::{Quantity, SimulateArgs, Sort, SuggestArgs, TopArgs};

/// More samples are no real push, and would need too much memory.
const MAX_SAMPLES_PER_PUSH: u64 = 10_000_000;

const EXIT_CODES: &str = "\
Long flags may be written with one dash too: -url=X is --url=X.

Exit codes:
  0   no problem / at least one push got an answer
  1   problems found / a push would be denied / no push got an answer
  2   a document is rejected
  64  bad usage
  66  a file or a page of Mimir can't be read
  69  no replica of mimir-rls answers";

const LOAD_HELP: &str = "\
The load is open-loop: with --rate, push number k (from 0) is due k x samples per push / rate seconds after the \
start, however long answers take. A late push is sent as soon as a worker is free; one without a free worker before the \
end is not sent and reported as unsent. Each worker has one keep-alive connection and series of its \
own. Redirects are not followed.

A push is accepted if the answer is 2xx, denied for any other answer, and unanswered without one. `elapsed_seconds` is \
the time from the start of the first push to the end of the last answer. So a tenant with a limit in samples per second \
and a burst, whose bucket is full at the start and whose load always exceeds the limit, has `samples_accepted` of \
limit x elapsed_seconds + burst, give or take one push.

Ctrl-C stops sending and still reports; a second one doesn't wait for answers either. Sample times start at now and \
rise by a millisecond in each series: above 1000 samples/s of one series they run ahead of the clock.

Https servers are verified against the system's certificates, or those in the file that SSL_CERT_FILE names.

Examples:
  edgectl load-remote-write --tenant team-a --rate 20000 --duration 30s
  edgectl load-remote-write --url https://mimir.example/api/v1/push \\
    --tenant team-a --tenant team-b --concurrency 8 --protocol 2.0 --json

Exit codes: 0 a push got an answer, 1 none did, 64 bad usage";

#[derive(Debug, Parser)]
#[command(name = "edgectl", version, about = "Check Mimir overrides, ask the edge what it decides, and load a remote-write endpoint", after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A subcommand with its arguments, validated by [`parse`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Box<CheckArgs>),
    Diff(Box<DiffArgs>),
    Explain(Box<ExplainArgs>),
    Tap(Box<TapArgs>),
    Tenants(Box<TenantsArgs>),
    Top(Box<TopArgs>),
    Simulate(Box<SimulateArgs>),
    Suggest(Box<SuggestArgs>),
    LoadRemoteWrite(Box<LoadArgs>),
    Completions(CompletionsArgs),
}

impl Command {
    fn api(&mut self) -> Option<&mut ApiArgs> {
        match self {
            Self::Explain(explain) => Some(&mut explain.api),
            Self::Tap(tap) => Some(&mut tap.api),
            Self::Tenants(tenants) => Some(&mut tenants.api),
            Self::Top(top) => Some(&mut top.api),
            Self::Simulate(simulate) => Some(&mut simulate.api),
            Self::Suggest(suggest) => Some(&mut suggest.api),
            Self::Check(_) | Self::Completions(_) | Self::Diff(_) | Self::LoadRemoteWrite(_) => None,
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
            Self::Plugin => command.bin_name("kubectl mimir-edge").mut_subcommands(|subcommand| {
                let help = subcommand
                    .get_after_help()
                    .map(|help| help.to_string().replace("  edgectl ", "  kubectl mimir-edge "));
                match help {
                    Some(help) => subcommand.after_help(help),
                    None => subcommand,
                }
            }),
        }
    }
}

/// Send remote-write pushes at a rate, and report what was accepted, denied and how fast
#[derive(Debug, Args)]
#[command(after_help = LOAD_HELP)]
pub(crate) struct LoadArgs {
    /// Where to push: an http or https URL with its path
    #[arg(long, default_value = "http://127.0.0.1:8080/api/v1/push", value_parser = Url::parse)]
    pub(crate) url: Url,

    /// Tenant of the pushes (X-Scope-OrgID). Several tenants take turns. Without one, no such header is sent
    #[arg(long = "tenant", value_name = "TENANT", value_parser = header_value)]
    pub(crate) tenants: Vec<HeaderValue>,

    /// Workers, each with one connection and one push at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..=10_000))]
    pub(crate) concurrency: u32,

    /// How long pushes are sent, as Go and Prometheus write it: 30s, 1m30s, 1.5h
    #[arg(long, default_value = "10s", value_parser = some_duration)]
    pub(crate) duration: Duration,

    /// Samples per second, over all workers and tenants; fractions are allowed. 0: as fast as possible
    // The full path keeps clap from treating it as an optional flag.
    #[arg(long, value_name = "SAMPLES_PER_SECOND", default_value = "0", value_parser = rate)]
    pub(crate) rate: std::option::Option<f64>,

    /// Series in each push
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
    pub(crate) series: u32,

    /// Samples of each series in a push, one millisecond apart
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
    pub(crate) samples_per_series: u32,

    /// Version of the remote-write protocol
    #[arg(long, default_value = "1.0", value_parser = PossibleValuesParser::new(["1.0", "2.0"]).map(protocol))]
    pub(crate) protocol: Protocol,

    /// Value of the label `job` of all series. Two runs at once against one tenant need two names
    #[arg(long, value_name = "NAME", default_value = "edgectl")]
    pub(crate) job: String,

    /// Header to add to every push, or to replace one that this program sends. Repeatable
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// How long to wait for a connection, and then for an answer: a duration as above
    #[arg(long, default_value = "10s", value_parser = some_duration)]
    pub(crate) timeout: Duration,

    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Print progress to standard error every second, even if that is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
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
    let Cli { mut command } = Cli::from_arg_matches(&name.command().try_get_matches_from(arguments)?)?;
    if let Some(api) = command.api() {
        api.is_plugin = name == Name::Plugin;
    }
    match &command {
        Command::Check(check) => check.validate()?,
        Command::Diff(diff) => diff.validate()?,
        Command::LoadRemoteWrite(load) => load.validate()?,
        Command::Completions(_) | Command::Explain(_) | Command::Tap(_) | Command::Tenants(_) => {}
        Command::Top(_) | Command::Simulate(_) | Command::Suggest(_) => {}
    }
    Ok(command)
}

impl LoadArgs {
    fn validate(&self) -> Result<(), clap::Error> {
        let Self { series, samples_per_series, .. } = self;
        let samples = self.samples_per_push();
        if samples <= MAX_SAMPLES_PER_PUSH {
            return Ok(());
        }
        let message = format!(
            "--series {series} x --samples-per-series {samples_per_series} is {samples} samples in one push; \
             at most {MAX_SAMPLES_PER_PUSH} are possible"
        );
        Err(Cli::command().error(ErrorKind::ValueValidation, message))
    }
}

fn protocol(name: String) -> Protocol {
    if name == "2.0" { Protocol::V2 } else { Protocol::V1 }
}

fn some_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(duration) }
}

/// `None` for 0: as fast as possible.
fn rate(text: &str) -> Result<Option<f64>, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1e12).contains(&rate) => Ok((rate > 0.0).then_some(rate)),
        Ok(_) => Err("must be from 0 to 1e12 samples per second".to_owned()),
        Err(_) => Err("must be a number of samples per second, as in 20000 or 0.5".to_owned()),
    }
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "can't be sent in a header: control characters".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME:VALUE")?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
    Ok((name, header_value(value.trim_start())?))
}

#[cfg(test)]
mod tests;
