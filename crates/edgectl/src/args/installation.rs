//! The flags of the subcommands that look at an installation: `check` without a file, and `diagnose`.

use std::time::Duration;

use clap::Args;
use http::{HeaderValue, Uri};
use limits_source::{ConfigMapSpec, HttpUrlError, parse_http_url};

use super::{ApiArgs, MimirArgs, header_value, some_duration};
use crate::edge_api::Address;

/// Where the programs of an installation are.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallationArgs {
    /// URL that clients push to, such as http://nginx/api/v1/push: the front door. Probe pushes go there as --tenant
    #[arg(long, value_name = "URL", value_parser = push_url)]
    pub(crate) front: Option<Uri>,

    /// Tenant of the probe pushes to --front and --envoy: an empty push, and one that no program can read. Neither stores a sample
    #[arg(long, value_name = "TENANT", value_parser = header_value)]
    pub(crate) tenant: Option<HeaderValue>,

    /// Address of Envoy's listener for pushes, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    pub(crate) envoy: Option<Address>,

    /// Address of Envoy's metrics, such as http://127.0.0.1:9901. Repeatable, or several with commas
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = Address::parse)]
    pub(crate) envoy_admin: Vec<Address>,

    /// Address of overrides-sync: its --http-listen, such as http://127.0.0.1:9091. Repeatable, or several with commas
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = Address::parse)]
    pub(crate) overrides_sync: Vec<Address>,

    /// ConfigMap with Mimir's overrides, read with kubectl; as in --limits kube: of overrides-sync
    #[arg(long, value_name = "NAMESPACE/NAME[/KEY,KEY…]", value_parser = config_map)]
    pub(crate) configmap: Option<ConfigMapSpec>,

    /// Age from which limits are stale: 1m, 90s
    #[arg(long, value_name = "D", default_value = "1m", value_parser = some_duration)]
    pub(crate) stale_after: Duration,

    #[command(flatten, next_help_heading = "Replicas of mimir-rls")]
    pub(crate) api: ApiArgs,

    #[command(flatten, next_help_heading = "Mimir")]
    pub(crate) mimir: MimirArgs,
}

impl InstallationArgs {
    /// The first flag that says where a program is, of those without a variable.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--front", self.front.is_some()),
            ("--tenant", self.tenant.is_some()),
            ("--envoy", self.envoy.is_some()),
            ("--envoy-admin", !self.envoy_admin.is_empty()),
            ("--overrides-sync", !self.overrides_sync.is_empty()),
            ("--configmap", self.configmap.is_some()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

fn push_url(text: &str) -> Result<Uri, String> {
    let uri = parse_http_url(text).map_err(|error| match error {
        // With a slash in a password, what is before it looks like a host and a port.
        HttpUrlError::Credentials | HttpUrlError::Port(_) if text.contains('@') => {
            "must not hold a password: probe pushes carry no credentials".to_owned()
        }
        error => format!("{error}, as in http://127.0.0.1:8080/api/v1/push"),
    })?;
    match uri.path() {
        "/" => Err("must end with the path of pushes, as in http://127.0.0.1:8080/api/v1/push".to_owned()),
        _ => Ok(uri),
    }
}

fn config_map(text: &str) -> Result<ConfigMapSpec, String> {
    text.parse().map_err(|error| format!("{error}"))
}
