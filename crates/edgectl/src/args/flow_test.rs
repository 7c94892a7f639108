//! The command line of `edgectl flow-test`.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use http::HeaderValue;

use super::{ApiArgs, Cli, MimirArgs, header_value, some_duration};
use crate::load::Url;

const HELP: &str = "\
Pushes one sample of the series edgectl_flow_test{run=\"...\"} to the front door, and asks Mimir for it until it is there. Then \
pushes one sample more than the tenant's burst, which is to be refused with Mimir's words. What is to happen depends on the \
phase of the rollout (ops/runbooks/rollout.md):

  mirror   Mimir answers, also the refused push, and the edge has decided a copy of both
  canary   the edge answers the pushes of a share of the tenants, and Mimir those of the others
  full     the edge refuses, and Mimir has what it allowed

What it writes: one sample of one new series each time, of the tenant edgectl-flow-test unless you name another one. A push that \
is refused writes nothing, but if nobody refuses the one over the burst, its samples of one series are written. In phase canary, \
--probes pushes of as many tenants have a body that cannot be read: they are refused with 400, write nothing, and are counted as \
denials. Of a tenant without an override, the burst is that of the default limits: an override with a burst of 1000 makes the \
push small, and more than 500000 are not pushed. In phase full, a tenant in mode shadow gets no such push: the edge refuses nothing.

The variables for Mimir are those of mimirtool. The tenant of MIMIR_TENANT_ID is only the user of MIMIR_API_KEY here. Credentials \
are sent to the front door too.

Examples:
  edgectl flow-test --mimir http://127.0.0.1:8081
  edgectl flow-test --phase mirror --url http://nginx.example/api/v1/push \\
    --mimir http://127.0.0.1:8081
  edgectl flow-test --phase canary --share 5 --mimir http://127.0.0.1:8081 -o json

Exit codes: 0 all as the phase wants it, 1 something is not, 64 bad usage, 66 a file of the flags can't be used, 69 there is no \
replica to ask";

/// Push a marked series through the front door, find it in Mimir, and see who refuses a push over the limit
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct FlowTestArgs {
    /// The front door: where clients push
    #[arg(long, default_value = "http://127.0.0.1:8080/api/v1/push", value_parser = Url::parse)]
    pub(crate) url: Url,

    /// Tenant of the pushes
    #[arg(long, value_name = "TENANT", default_value = "edgectl-flow-test", value_parser = header_value)]
    pub(crate) tenant: HeaderValue,

    /// Phase of the rollout
    #[arg(long, value_enum, default_value_t = Phase::Full)]
    pub(crate) phase: Phase,

    /// With --phase canary: the share of the tenants, in percent, whose pushes go to the edge [default: any but none]
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub(crate) share: Option<f64>,

    /// With --phase canary: tenants whose share is measured
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = RangedU64ValueParser::<u32>::new().range(1..=10_000))]
    pub(crate) probes: u32,

    /// How long Mimir may take to answer queries with the sample, and the edge to count a push
    #[arg(long, value_name = "D", default_value = "30s", value_parser = some_duration)]
    pub(crate) wait: Duration,

    #[command(flatten, next_help_heading = "Mimir, with the variables of mimirtool")]
    pub(crate) mimir: MimirArgs,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}

/// A phase of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// The edge decides copies
    Mirror,
    /// The edge decides the pushes of a share of the tenants
    Canary,
    /// The edge decides all pushes
    Full,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Canary => "canary",
            Self::Full => "full",
        }
    }
}

impl FlowTestArgs {
    pub(super) fn validate(&self) -> Result<(), clap::Error> {
        let fault = if self.mimir.url.is_none() {
            "flow-test asks Mimir for the series: give its address with --mimir or MIMIR_ADDRESS"
        } else if self.share.is_some() && self.phase != Phase::Canary {
            "--share is for --phase canary"
        } else {
            return Ok(());
        };
        Err(Cli::command().error(ErrorKind::ValueValidation, fault))
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("must be a number from 0 to 100".to_owned()),
    }
}
