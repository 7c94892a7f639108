//! The command line of `edgectl tap`.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use enforce::DenyReason;
use limits::Mode;

use super::{ApiArgs, some_duration};

const HELP: &str = "\
Prints each denial as it happens, one line each: the time, the replica, the tenant, the decision (would_deny if the mode \
lets the push pass), the mode, the reason, the status, the samples, and the retry attempt. With -o json, one JSON object a \
line; with -o yaml, one document each. Each filter may be repeated.

Every replica is polled each second. It keeps the last 1,000 denials: if more happen within a second, some are missed, and \
how many is said on standard error. A replica that stops answering is named, and polled again. One that does not answer at \
the start begins later with what it has denied since then, by its own clock.

Examples:
  edgectl tap --count 2
  edgectl tap --tenant team-a --for 1s
  edgectl tap --since-start --mode shadow --reason ingestion_rate --for 1s
  edgectl tap --status 429 --address http://127.0.0.1:9095,http://127.0.0.1:9096 -o json --count 1

Exit codes: 0 fine, also after Ctrl-C, 64 bad usage, 66 a file of the flags can't be used, 69 no replica answers at the start";

/// Print denials as they happen
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TapArgs {
    /// Only of this tenant, with or without metadata
    #[arg(long = "tenant", value_name = "TENANT")]
    pub(crate) tenants: Vec<String>,

    /// Only for this reason
    #[arg(long = "reason", value_name = "REASON", hide_possible_values = true, value_parser = PossibleValuesParser::new(DenyReason::ALL.map(DenyReason::as_str)))]
    pub(crate) reasons: Vec<String>,

    /// Only in this mode
    #[arg(long = "mode", value_name = "MODE", value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::as_str)))]
    pub(crate) modes: Vec<String>,

    /// Only with this HTTP status
    #[arg(long = "status", value_name = "STATUS")]
    pub(crate) statuses: Vec<u16>,

    /// Begin with the denials that the replicas keep, up to 1,000 each, and not only with new ones
    #[arg(long)]
    pub(crate) since_start: bool,

    /// End after this time [default: at Ctrl-C]
    #[arg(long = "for", value_name = "D", value_parser = some_duration)]
    pub(crate) duration: Option<Duration>,

    /// End after so many denials
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}
