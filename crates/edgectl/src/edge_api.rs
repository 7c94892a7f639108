//! A client of mimir-rls's HTTP API that asks all replicas at the same time.
//!
//! One replica decides all pushes of a tenant, and only this one has the tenant's buckets and denials. So a subcommand merges the answers of all, or takes
//! that of [`Answers::deciding`]. A replica that does not answer is named on standard error; it is an error if none does.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::join_all;
use http::{HeaderValue, Uri};
use limits_source::{Bounds, WebClient, system_tls, tls_trusting};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

mod address;
mod answers;
mod error;
mod kubectl;
mod pods;
mod replica;
mod responses;

pub(crate) use address::{Address, encoded};
pub(crate) use answers::{Answer, Answers};
pub(crate) use error::{ApiError, EdgeError};
pub(crate) use pods::Port;
pub(crate) use replica::Replica;
pub(crate) use responses::{Bucket, Denial, DenialsPage, Explanation, Fields, TenantDetails, TenantRow, TenantsPage};

use crate::args::ApiArgs;
use crate::exit;
use error::Failure;
use pods::Forward;

/// More than a page of 1,000 tenants whose limits all differ from the defaults.
const MAX_RESPONSE_BYTES: usize = 32 << 20;
/// The longest token that mimir-rls has, and some white space.
const MAX_TOKEN_BYTES: u64 = 8 << 10;

/// The replicas of mimir-rls.
pub(crate) struct EdgeApi {
    replicas: Vec<Replica>,
    /// The ports that lead to pods, for as long as these are asked.
    _forwards: Vec<Forward>,
}

impl EdgeApi {
    /// The replicas that the flags name, or the pods in the cluster that they choose. Nothing is sent to a replica yet.
    ///
    /// # Errors
    /// A file of the flags cannot be used, or there are no pods.
    pub(crate) fn new(args: &ApiArgs) -> Result<Self, EdgeError> {
        if args.are_pods() {
            Self::of_pods(args, Port::MimirRls)
        } else {
            Self::at(args, Port::MimirRls, args.addresses())
        }
    }

    /// The programs with this port at these addresses.
    ///
    /// # Errors
    /// A file of the flags cannot be used.
    pub(crate) fn at(args: &ApiArgs, port: Port, addresses: Vec<Address>) -> Result<Self, EdgeError> {
        let named = addresses.into_iter().map(|address| (address.to_string(), address)).collect();
        Self::with(args, port, args.tls_server_name.as_deref(), named, Vec::new())
    }

    /// The pods with this port in the cluster.
    ///
    /// # Errors
    /// A file of the flags cannot be used, or there are no pods.
    pub(crate) fn of_pods(args: &ApiArgs, port: Port) -> Result<Self, EdgeError> {
        let forwarded = forwarded(args, port)?;
        let named = forwarded.iter().map(|(name, forward)| (name.clone(), forward.address.clone())).collect();
        // The certificate of a pod has the name of its Service.
        let server_name = args.tls_server_name.as_deref().unwrap_or(port.program());
        let forwards = forwarded.into_iter().map(|(_, forward)| forward).collect();
        Self::with(args, port, Some(server_name), named, forwards)
    }

    fn with(
        args: &ApiArgs,
        port: Port,
        server_name: Option<&str>,
        named: Vec<(String, Address)>,
        forwards: Vec<Forward>,
    ) -> Result<Self, EdgeError> {
        let token_file = args.token_file.as_deref().filter(|_| port.takes_token());
        let authorization = token_file.map(authorization).transpose()?;
        let client = Arc::new(client(args, server_name, named.iter().map(|(_, address)| address.uri()))?);
        let replica = |(name, address)| Replica::new(name, address, Arc::clone(&client), authorization.clone());
        Ok(Self { replicas: named.into_iter().map(replica).collect(), _forwards: forwards })
    }

    /// Each of them.
    pub(crate) fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// Asks all replicas for a page of the API.
    ///
    /// # Errors
    /// None answers.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answers<T>, EdgeError> {
        self.ask(async |replica| replica.get(path).await).await
    }

    /// Asks all replicas, each with one request or more, and names those that do not answer on standard error.
    ///
    /// # Errors
    /// None answers.
    pub(crate) async fn ask<T>(
        &self,
        ask: impl AsyncFn(&Replica) -> Result<T, ApiError>,
    ) -> Result<Answers<T>, EdgeError> {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for (replica, outcome) in self.ask_each(ask).await {
            match outcome {
                Ok(value) => answers.push(Answer { replica: replica.name().to_owned(), value }),
                Err(failure) => failures.push(failure),
            }
        }
        if answers.is_empty() {
            return Err(EdgeError::NoAnswer(failures));
        }
        failures.iter().for_each(|failure| exit::note(failure));
        Ok(Answers { answers, silent: failures.into_iter().map(|failure| failure.replica).collect() })
    }

    /// Asks all replicas, and says nothing of those that do not answer.
    pub(crate) async fn ask_each<T>(
        &self,
        ask: impl AsyncFn(&Replica) -> Result<T, ApiError>,
    ) -> Vec<(&Replica, Result<T, Failure>)> {
        let outcome = async |replica| {
            let outcome: Result<T, ApiError> = ask(replica).await;
            (replica, outcome.map_err(|error| Failure::new(replica, error)))
        };
        join_all(self.replicas.iter().map(outcome)).await
    }
}

/// Runs a subcommand that asks the API. Ctrl-C ends it, and what it has started.
pub(crate) fn block_on(subcommand: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    until_interrupted(ExitCode::from(exit::INTERRUPTED), subcommand)
}

/// The same with this exit code after Ctrl-C.
pub(crate) fn until_interrupted(
    code: ExitCode,
    subcommand: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        tokio::select! {
            ended = subcommand => ended,
            _ = interrupt.recv() => Ok(code),
            _ = terminate.recv() => Ok(code),
        }
    })
}

/// The pods of a program by their names, each with a port of this machine, and at least one. A pod without a port is named on standard error.
fn forwarded(args: &ApiArgs, port: Port) -> Result<Vec<(String, Forward)>, EdgeError> {
    let pods = args.cluster.pods(port, args.timeout)?;
    let mut forwarded = Vec::new();
    for (pod, forward) in pods.iter().zip(args.cluster.forward(&pods, args.timeout)) {
        let name = args.cluster.name(pod);
        match forward {
            Ok(forward) => forwarded.push((name, forward)),
            Err(error) => exit::note(&format!("{name}: {error}")),
        }
    }
    match &forwarded[..] {
        [] => Err(EdgeError::Unavailable(format!("no pod of {} can be reached", port.program()))),
        _ => Ok(forwarded),
    }
}

fn client<'u>(
    args: &ApiArgs,
    server_name: Option<&str>,
    addresses: impl Iterator<Item = &'u Uri>,
) -> Result<WebClient, EdgeError> {
    let tls = match &args.ca_file {
        Some(path) => tls_trusting("--ca-file", path).map_err(EdgeError::unusable)?,
        None => system_tls(addresses).map_err(|error| EdgeError::unusable(format!("{error}, or give --ca-file")))?,
    };
    let bounds = Bounds { timeout: args.timeout, bytes: MAX_RESPONSE_BYTES };
    match server_name {
        None => Ok(WebClient::new(tls, bounds)),
        Some(name) => WebClient::with_server_name(tls, name, bounds)
            .map_err(|error| EdgeError::unusable(format!("--tls-server-name {name}: {error}"))),
    }
}

/// The header with the token of a file, which no error repeats.
fn authorization(path: &Path) -> Result<HeaderValue, EdgeError> {
    let unusable = |why: &dyn std::fmt::Display| EdgeError::unusable(format!("--token-file {}: {why}", path.display()));
    let token = read_token(path).map_err(|error| unusable(&error))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(unusable(&"it is empty"));
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unusable(&"it holds no token"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn read_token(path: &Path) -> io::Result<String> {
    let mut token = String::new();
    File::open(path)?.take(MAX_TOKEN_BYTES).read_to_string(&mut token)?;
    Ok(token)
}
