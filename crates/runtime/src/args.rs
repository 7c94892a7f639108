//! The flags that all servers share, the environment variable of each flag, and checks of several flags together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Arg, Args};
use prometheus::Registry;

use crate::{FlagFile, LogSettings, Protocol, Setting, Tls, TlsFileMetrics, TlsFiles, TokenFile};

const GRPC_TLS: &str = "--grpc-tls-cert, --grpc-tls-key and --grpc-tls-client-ca";
const HTTP_TLS: &str = "--http-tls-cert and --http-tls-key";
const HTTP_TOKEN: &str = "--http-token-file";

/// Flags for TLS, the drain and the logs of a server.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Serve gRPC over TLS with this certificate and its intermediate certificates, as PEM; reloaded when the file changes [default: plain]
    #[arg(long, value_name = "FILE")]
    pub grpc_tls_cert: Option<PathBuf>,

    /// The private key of --grpc-tls-cert, as PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE")]
    pub grpc_tls_key: Option<PathBuf>,

    /// The CAs of gRPC clients, as PEM: every client must show a certificate that one of them signed; reloaded when the file changes
    #[arg(long, value_name = "FILE")]
    pub grpc_tls_client_ca: Option<PathBuf>,

    /// Serve --http-listen over TLS with this certificate and its intermediate certificates, as PEM; reloaded when the file changes [default: plain]
    #[arg(long, value_name = "FILE")]
    pub http_tls_cert: Option<PathBuf>,

    /// The private key of --http-tls-cert, as PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE")]
    pub http_tls_key: Option<PathBuf>,

    /// A file with a token of at least 16 bytes: on --http-listen, everything but /live, /ready, /metrics and the files of the page asks for it, as
    /// Authorization: Bearer TOKEN; reloaded when the file changes. Without it, reading needs no token, and changing the log level is off
    #[arg(long, value_name = "FILE")]
    pub http_token_file: Option<PathBuf>,

    /// How long to go on accepting after SIGTERM, already unhealthy, so that callers turn to another server first
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub drain_delay: humantime::Duration,

    /// How long calls in flight may take to finish after that
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub drain_timeout: humantime::Duration,

    /// Logs.
    #[command(flatten)]
    pub logs: LogSettings,

    /// All flags as they are in force; [`crate::run_program`] sets them.
    #[arg(skip)]
    pub settings: Arc<[Setting]>,
}

/// What the files of [`ServerArgs`] hold.
#[derive(Debug)]
pub struct ServerSecurity {
    /// TLS of the gRPC side.
    pub grpc_tls: Option<Tls>,
    /// TLS of the HTTP side.
    pub http_tls: Option<Tls>,
    /// The token of the HTTP side.
    pub http_token: Option<TokenFile>,
}

impl ServerArgs {
    /// The files that the flags name.
    #[must_use]
    pub fn files(&self) -> Vec<FlagFile<'_>> {
        let files = [
            ("--grpc-tls-cert", &self.grpc_tls_cert),
            ("--grpc-tls-key", &self.grpc_tls_key),
            ("--grpc-tls-client-ca", &self.grpc_tls_client_ca),
            ("--http-tls-cert", &self.http_tls_cert),
            ("--http-tls-key", &self.http_tls_key),
            (HTTP_TOKEN, &self.http_token_file),
        ];
        files.into_iter().filter_map(|(flag, path)| Some(FlagFile::read(flag, path.as_deref()?))).collect()
    }

    /// Checks the flags and what their files hold now.
    ///
    /// # Errors
    /// A certificate has no key or the other way round, or a file cannot be used.
    pub fn check(&self) -> anyhow::Result<()> {
        self.security(&TlsFileMetrics::new(&Registry::new(), "ignored_files", "ignored_dates")?).map(|_| ())
    }

    /// Reads the files. Each has series of its own in `metrics`, also if there is none.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn security(&self, metrics: &TlsFileMetrics) -> anyhow::Result<ServerSecurity> {
        let (of_grpc, of_http, bad_tokens) =
            (metrics.of("grpc_tls"), metrics.of("http_tls"), metrics.bad("http_token"));
        let pair = |flags, cert: &Option<PathBuf>, key: &Option<PathBuf>, client_ca: Option<&PathBuf>| match (
            cert.clone(),
            key.clone(),
            client_ca.cloned(),
        ) {
            (Some(cert), Some(key), client_ca) => Ok(Some(TlsFiles { cert, key, client_ca })),
            (None, None, None) => Ok(None),
            _ => bail!("{flags}: a certificate needs its key and a key its certificate; give both files"),
        };
        let grpc = pair(GRPC_TLS, &self.grpc_tls_cert, &self.grpc_tls_key, self.grpc_tls_client_ca.as_ref())?;
        let http = pair(HTTP_TLS, &self.http_tls_cert, &self.http_tls_key, None)?;
        let grpc = grpc.map(|files| Tls::load("the TLS of the gRPC side", files, Protocol::Http2, of_grpc));
        let http = http.map(|files| Tls::load("the TLS of the HTTP side", files, Protocol::Http1, of_http));
        let token = self.http_token_file.clone().map(|path| TokenFile::load(path, bad_tokens));
        Ok(ServerSecurity {
            grpc_tls: grpc.transpose().context(GRPC_TLS)?,
            http_tls: http.transpose().context(HTTP_TLS)?,
            http_token: token.transpose().context(HTTP_TOKEN)?,
        })
    }
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
