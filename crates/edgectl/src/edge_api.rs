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

mod address;
mod answers;
mod error;
mod replica;
mod responses;

pub(crate) use address::{Address, encoded};
pub(crate) use answers::{Answer, Answers};
pub(crate) use error::{ApiError, EdgeError};
pub(crate) use replica::Replica;
pub(crate) use responses::{Bucket, Denial, DenialsPage, Explanation, Fields, TenantDetails, TenantRow, TenantsPage};

use crate::args::ApiArgs;
use crate::exit;
use error::Failure;

/// More than a page of 1,000 tenants whose limits all differ from the defaults.
const MAX_RESPONSE_BYTES: usize = 32 << 20;
/// The longest token that mimir-rls has, and some white space.
const MAX_TOKEN_BYTES: u64 = 8 << 10;

/// The replicas of mimir-rls.
pub(crate) struct EdgeApi {
    replicas: Vec<Replica>,
}

impl EdgeApi {
    /// The replicas that the flags name. Nothing is sent yet.
    ///
    /// # Errors
    /// A file of the flags cannot be used.
    pub(crate) fn new(args: &ApiArgs) -> Result<Self, EdgeError> {
        let addresses = args.addresses();
        let client = Arc::new(client(args, addresses.iter().map(Address::uri))?);
        let authorization = args.token_file.as_deref().map(authorization).transpose()?;
        let replica = |address: Address| Replica::new(address, Arc::clone(&client), authorization.clone());
        Ok(Self { replicas: addresses.into_iter().map(replica).collect() })
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

/// Runs a subcommand that asks the API.
pub(crate) fn block_on(subcommand: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    runtime.block_on(subcommand)
}

fn client<'u>(args: &ApiArgs, addresses: impl Iterator<Item = &'u Uri>) -> Result<WebClient, EdgeError> {
    let tls = match &args.ca_file {
        Some(path) => tls_trusting("--ca-file", path).map_err(EdgeError::unusable)?,
        None => system_tls(addresses).map_err(|error| EdgeError::unusable(format!("{error}, or give --ca-file")))?,
    };
    let bounds = Bounds { timeout: args.timeout, bytes: MAX_RESPONSE_BYTES };
    match &args.tls_server_name {
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
