//! The command line of `edgectl quick-setup`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use limits::Mode;

use super::Credentials;

const HELP: &str = "\
Writes the files with which the edge runs on one host (docs/compose.md), in a checkout of the repository. It asks for what no flag \
gives; --yes takes the defaults, which are in brackets, and asks nothing.

It asks the Mimir of --mimir-url for its version, before it writes anything, and takes the tenants' overrides from it, so that the edge \
has the limits of Mimir; if it does not show them, a line with ‼ says so. --no-check leaves both out, as for an address that only the containers know.

  compose  .env, ops/compose/limits/limits.yaml, ops/compose/limits/edge.yaml
  railway  mimir-envoy.env and mimir-rls.env, the variables of the two services, and the same documents of limits, which you commit

A file that exists and would change is overwritten only if you say so; --yes needs --force for that, and writes nothing otherwise. The \
file of before stays as NAME.before, and later ones as NAME.before.2 and so on. Credentials are only used to ask Mimir, and are not written.

Examples:
  edgectl quick-setup
  edgectl quick-setup --yes
  edgectl quick-setup --yes --force --mimir-url http://mimir.internal:8080 --mode shadow
  edgectl quick-setup --yes --force --platform railway --no-check \\
    --mimir-url https://mimir.example

Exit codes: 0 the files are written, 1 Mimir does not answer or a file would be overwritten, 64 bad usage, 66 a file can't be used";

/// Write the files with which the edge runs on one host: docker compose, or a platform such as Railway
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct QuickSetupArgs {
    /// Checkout of the repository, which has compose.yaml
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,

    /// Where the edge runs [default: compose]
    #[arg(long, value_enum)]
    pub(crate) platform: Option<Platform>,

    /// The Mimir behind the edge, by its internal or public address; `own` starts one here, with compose only [default: own]
    #[arg(long, value_name = "URL", env = "MIMIR_URL")]
    pub(crate) mimir_url: Option<String>,

    /// Where Grafana queries Mimir [default: the address with /prometheus]
    #[arg(long, value_name = "URL", env = "MIMIR_QUERY_URL")]
    pub(crate) query_url: Option<String>,

    /// Whether denials reach clients: enforce, or shadow, which only counts them [default: enforce for an own Mimir, shadow for another]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub(crate) mode: Option<Mode>,

    /// Do not ask Mimir, and keep the overrides of limits.yaml
    #[arg(long)]
    pub(crate) no_check: bool,

    /// Ask nothing: take the defaults
    #[arg(long)]
    pub(crate) yes: bool,

    /// Overwrite files without asking
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten, next_help_heading = "Credentials, as those of mimirtool")]
    pub(crate) credentials: Credentials,
}

/// Where the edge runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// docker compose
    Compose,
    /// A platform that runs single images, such as Railway
    Railway,
}

fn mode(text: &str) -> Result<Mode, String> {
    let known = [Mode::Enforce, Mode::Shadow].into_iter().find(|mode| mode.as_str() == text);
    known.ok_or_else(|| "must be enforce or shadow".to_owned())
}
