//! The command line of `edgectl rollout`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::{HeaderName, HeaderValue};
use limits_source::MimirUrl;

use super::{Output, Phase, header, some_duration};

const HELP: &str = "\
Asks Prometheus for the numbers by which the runbook (ops/runbooks/rollout.md) continues with the next phase, and says whether to \
go on. Each line has a check of the phase's table, its value and its condition: √ it is met, × it is not, ‼ it is for you to \
judge. The expressions are those of the runbook: with -o json each has its text, its values and the verdict.

`0 for a day` is for --for, and needs metrics of that time: after a start, the phase goes on for that long. The expressions \
themselves are rates of one hour. Without data, or with a gap in that time, no condition is met. What the runbook reads in the log of the proxy is listed at the end; look there too.

The Prometheus must scrape Envoy, mimir-rls and Mimir. The query API of a Mimir will do: --prometheus http://MIMIR/prometheus \
--header X-Scope-OrgID:TENANT.

Examples:
  edgectl rollout status --phase mirror
  edgectl rollout status --phase canary --prometheus http://127.0.0.1:9091
  edgectl rollout status --phase full --for 6h -o json

Exit codes: 0 go on, 1 do not go on, 64 bad usage, 66 Prometheus or a file of the flags can't be used";

/// The subcommands of `rollout`.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum RolloutCommand {
    Status(Box<RolloutStatusArgs>),
}

/// Say whether the conditions of a phase are met, by the numbers of the runbook
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct RolloutStatusArgs {
    /// Phase whose conditions are to be met
    #[arg(long, value_enum)]
    pub(crate) phase: Phase,

    /// Address of the Prometheus, with its path if it has one
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090", value_parser = prometheus)]
    pub(crate) prometheus: MimirUrl,

    /// For how long a condition `for a day` must hold: 1d, 6h
    #[arg(long = "for", value_name = "D", default_value = "1d", value_parser = some_duration)]
    pub(crate) time: Duration,

    /// Header for Prometheus, such as that of a token. Repeatable
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// File with the CAs of an https Prometheus, as PEM [default: the system's, or those of SSL_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// How long Prometheus may take to answer: 30s, 1m
    #[arg(long, value_name = "D", default_value = "30s", value_parser = some_duration)]
    pub(crate) timeout: Duration,

    /// A table for people, or JSON or YAML for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

fn prometheus(text: &str) -> Result<MimirUrl, String> {
    MimirUrl::parse(text, "/").map_err(|error| error.to_string())
}
