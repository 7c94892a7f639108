//! The flags that all servers share, the environment variable of each flag, and checks of several flags together.

use std::net::SocketAddr;

use anyhow::bail;
use clap::{Arg, Args};

use crate::LogSettings;

/// Flags for the drain and the logs of a server.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// How long to go on accepting after SIGTERM, already unhealthy, so that callers turn to another server first
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub drain_delay: humantime::Duration,

    /// How long calls in flight may take to finish after that
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub drain_timeout: humantime::Duration,

    /// Logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// Gives a flag its environment variable: `prefix` and the flag's name in capitals, such as `MIMIR_RLS_GRPC_LISTEN`.
#[must_use]
pub fn with_variable(prefix: &str, argument: Arg) -> Arg {
    let variable = argument.get_long().map(|flag| format!("{prefix}_{}", flag.to_uppercase().replace('-', "_")));
    match variable {
        Some(variable) => argument.env(variable),
        None => argument,
    }
}

/// Rejects two listeners with the same address. Port 0 takes a free port, so it may be given to several.
///
/// # Errors
/// Names both flags and the address.
pub fn reject_shared_addresses(listeners: &[(&str, Option<SocketAddr>)]) -> anyhow::Result<()> {
    for (place, (flag, address)) in listeners.iter().enumerate() {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        let same = |(_, other): &&(&str, Option<SocketAddr>)| *other == Some(address);
        if let Some((other, _)) = listeners.iter().take(place).find(same) {
            bail!("{other} and {flag} are both {address}; give each a port of its own");
        }
    }
    Ok(())
}
