//! The flags of all subcommands that ask mimir-rls.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{ClusterArgs, some_duration};
use crate::edge_api::Address;

const DEFAULT_ADDRESS: &str = "http://127.0.0.1:9090";

/// Where the replicas of mimir-rls are, and how results are printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// Address of a replica of mimir-rls: its --http-listen. Repeat it, or separate several with commas, to ask all replicas [default: http://127.0.0.1:9090]
    #[arg(long = "address", value_name = "URL", env = "MIMIR_EDGE_ADDRESS", value_delimiter = ',', value_parser = Address::parse)]
    addresses: Vec<Address>,

    /// File with the token of mimir-rls's --http-token-file
    #[arg(long, value_name = "FILE", env = "MIMIR_EDGE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// File with the CAs of https replicas, as PEM [default: the system's, or those of SSL_CERT_FILE]
    #[arg(long, value_name = "FILE", env = "MIMIR_EDGE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Name to expect in the certificates of https replicas, as behind a forwarded port [default: the host of the address]
    #[arg(long, value_name = "NAME", env = "MIMIR_EDGE_TLS_SERVER_NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// How long a replica may take to answer: 10s, 1m30s
    #[arg(long, value_name = "D", default_value = "10s", value_parser = some_duration)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// Whether the program is run as a plugin of kubectl.
    #[arg(skip)]
    pub(crate) is_plugin: bool,

    /// A table for people, or JSON or YAML for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Yaml,
}

impl ApiArgs {
    /// Whether the replicas are the pods that kubectl finds.
    pub(crate) fn are_pods(&self) -> bool {
        self.cluster.are_given() || (self.is_plugin && self.addresses.is_empty())
    }

    /// The addresses, each once.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for address in &self.addresses {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        if addresses.is_empty() {
            addresses.extend(Address::parse(DEFAULT_ADDRESS));
        }
        addresses
    }
}
