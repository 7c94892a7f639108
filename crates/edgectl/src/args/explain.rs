//! The command line of `edgectl explain`.

use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, HeaderValue};

use super::{ApiArgs, header, header_value};

const HELP: &str = "\
Says how mimir-rls would decide a push of TENANT now: which limit decides, what is in the buckets, what the push costs, when \
it would pass if nothing else is charged, and the message that the client would get. Nothing is charged.

The push is a number of samples, or a body as a client sends it (snappy), with the headers that say what it is. The answer \
is that of the replica that has the tenant's buckets; on the others the buckets are full.

Examples:
  edgectl explain team-a
  edgectl explain team-a --items 5000
  edgectl explain team-a --body push.snappy
  edgectl explain team-a --body - < push.snappy \\
    --header 'Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request'
  edgectl explain team-a --address http://127.0.0.1:9095,http://127.0.0.1:9096 -o json

Exit codes: 0 the push passes, 1 it is denied, or would be if the mode were enforce, 64 bad usage, 66 a file can't be used, \
69 no replica answers";

/// Say how a push of a tenant would be decided now, by which limit, and when it would pass
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ExplainArgs {
    /// Tenant of the push (X-Scope-OrgID), also with metadata (a:k=v)
    #[arg(value_name = "TENANT", value_parser = header_value)]
    pub(crate) tenant: HeaderValue,

    /// Samples of the push
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "body")]
    pub(crate) items: u64,

    /// File with the body of the push. `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,

    /// Header of the push. Repeatable
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,
}
