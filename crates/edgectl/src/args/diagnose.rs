//! The command line of `edgectl diagnose`.

use clap::Args;

use super::InstallationArgs;

const HELP: &str = "\
Follows a push from the client to Mimir, and the limits from the ConfigMap to mimir-rls: front door, Envoy, mimir-rls, \
overrides-sync, overrides document, Mimir. It prints each hop, names the first one that is broken, says why, and how to \
mend it. What no flag names, and kubectl does not find, is skipped.

With --front or --envoy and --tenant it sends probe pushes: one without a series, and to each of both one that is no remote \
write and that mimir-rls denies with 400. They store nothing. Each takes one token of the tenant's request rate, and those that \
are no remote write are among the tenant's denials, whose row says as which tenant they arrived.

Examples:
  edgectl diagnose
  edgectl diagnose --envoy http://127.0.0.1:8080 --envoy-admin http://127.0.0.1:9901 \\
    --mimir http://127.0.0.1:9009
  edgectl diagnose --front https://mimir.example/api/v1/push --tenant team-a
  edgectl diagnose -n mimir-edge-enforcement -o json

Exit codes: 0 no hop is broken, also with warnings, 1 one is, 64 bad usage, 66 a file of the flags can't be used";

/// Follow a push hop by hop, name the first broken hop, and how to mend it
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DiagnoseArgs {
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
