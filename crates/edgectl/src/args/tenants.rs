//! The command line of `edgectl tenants`.

use clap::Args;

use super::ApiArgs;

const HELP: &str = "\
Without TENANT, lists all tenants that have an override, an entry in the edge config or buckets: mode, ingestion rate and \
burst, request rate, whether the tenant has an override, and the replica that has its buckets, which decides its pushes. \
Other tenants have the default limits and the default mode.

With TENANT, shows the tenant's limits, and its buckets on the replica that decides its pushes.

Examples:
  edgectl tenants
  edgectl tenants team-a
  edgectl tenants --address http://127.0.0.1:9095 --address http://127.0.0.1:9096
  edgectl tenants -o json

Exit codes: 0 fine, 64 bad usage, 66 a file of the flags can't be used, 69 no replica answers";

/// List tenants with their modes and limits, or show the limits and buckets of one
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TenantsArgs {
    /// Tenant to show, also with metadata (a:k=v) [default: list all]
    #[arg(value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}
