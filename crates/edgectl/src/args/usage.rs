//! The command lines of the subcommands that read what tenants sent: `top`, `simulate`, `suggest`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use limits::MimirVersion;
use limits_source::DefaultLimitsOptions;

use super::{ApiArgs, some_duration};

const TOP_HELP: &str = "\
The columns are of the last minute, denied pushes included: ITEMS/S and PUSHES/S on average, PEAK/S the most items of one \
second, USED the part of the nearest limit, DENIED/S the denials. FILL is the fill of the ingestion bucket, REFUSED the \
pushes since the last one that was not refused with 429. RETRIES is `never` if the tenant was refused at least ten times in \
the last 15 minutes and no client sent a push again: Prometheus needs retry_on_http_429 for that, and loses samples without.

Up to 1,000 tenants of a replica have usage of their own, those with overrides and those that send most; <other> is the rest.

Examples:
  edgectl top
  edgectl top --sort used --limit 5
  edgectl top --sort pushes
  edgectl top -o json

Exit codes: 0 fine, 64 bad usage, 66 a file of the flags can't be used, 69 no replica answers";

const SIMULATE_HELP: &str = "\
Plays what mimir-rls has seen of each tenant, up to two hours, against the limits of these documents, with the token buckets \
of mimir-rls. Several FILEs are one configuration, merged as Mimir merges them. Nothing is changed.

Within an interval (a second in the last five minutes, ten seconds before that) pushes are spread evenly. Denied pushes are \
played too: a client that retries them sends more than it would under higher limits. A tenant without usage is not listed.

Examples:
  edgectl simulate runtime.yaml
  edgectl simulate - < runtime.yaml
  edgectl simulate --default-limits mimir.yaml --all runtime.yaml

Exit codes: 0 no tenant is denied, 1 a tenant is, 2 a document is rejected, 64 bad usage, 66 a file can't be read, 69 a \
replica does not answer";

const SUGGEST_HELP: &str = "\
The rate is the highest average over 15 minutes and a quarter more. The burst is the most that was sent beyond this rate at \
once and a quarter more, and at least one second of the rate. Both are rounded up to two digits. Under these limits, all that \
was seen passes, also pushes that were denied. The longer the tenant was seen, up to two hours, the better.

Examples:
  edgectl suggest team-a
  edgectl suggest team-a --for requests
  edgectl suggest team-a -o json

Exit codes: 0 fine, 1 the tenant sent nothing, 64 bad usage, 66 a file of the flags can't be used, 69 no replica answers";

/// Show the tenants that send most, and how near they are to their limits
#[derive(Debug, Args)]
#[command(after_help = TOP_HELP)]
pub(crate) struct TopArgs {
    /// How many tenants
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// What decides the order: the highest come first
    #[arg(long, value_enum, default_value_t = Sort::Items)]
    pub(crate) sort: Sort,

    /// Print again after each such time, until Ctrl-C
    #[arg(long, value_name = "D", value_parser = some_duration)]
    pub(crate) watch: Option<Duration>,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}

/// The order of `top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Items a second
    Items,
    /// Pushes a second
    Pushes,
    /// The part of the nearest limit
    Used,
    /// Denied pushes
    Denied,
}

/// Preview limits: which tenants would they deny, by what was sent in the last two hours
#[derive(Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub(crate) struct SimulateArgs {
    /// Overrides document, as for `edgectl check`. `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// List all tenants with usage, also those that are not denied
    #[arg(long)]
    pub(crate) all: bool,

    /// The number of Mimir's distributors [default: what mimir-rls uses]
    #[arg(long, value_name = "N")]
    pub(crate) distributors: Option<NonZeroU32>,

    /// The version of Mimir whose fields are known, as MAJOR.MINOR [default: the newest known, 3.1]
    #[arg(long, value_name = "X.Y")]
    pub(crate) mimir_version: Option<MimirVersion>,

    #[command(flatten)]
    pub(crate) defaults: DefaultLimitsOptions,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}

/// Suggest a rate and a burst for a tenant, from what it sent in the last two hours
#[derive(Debug, Args)]
#[command(after_help = SUGGEST_HELP)]
pub(crate) struct SuggestArgs {
    /// Tenant, without metadata
    #[arg(value_name = "TENANT")]
    pub(crate) tenant: String,

    /// Limits to suggest
    #[arg(long = "for", value_enum, default_value_t = Quantity::Items)]
    pub(crate) quantity: Quantity,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quantity {
    /// `ingestion_rate` and `ingestion_burst_size`
    Items,
    /// `request_rate` and `request_burst_size`
    Requests,
}
