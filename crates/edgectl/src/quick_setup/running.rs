//! The Mimir behind the edge: its version, and the overrides of its tenants.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use limits::{Defaults, MimirVersion, SourceDocument};
use limits_source::MimirUrl;
use serde_json::Value;

use crate::args::{Credentials, MimirArgs};
use crate::mimir::MimirClient;
use crate::steps::Step;

const NAME: &str = "Mimir answers";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Mimir's answer without a `-runtime-config.file` (Mimir `pkg/mimir/runtime_config.go`).
const NO_FILE: &[u8] = b"runtime config file doesn't exist";

/// What a running Mimir said.
#[derive(Debug)]
pub(super) struct Running {
    version: String,
    /// Its runtime configuration as YAML; `None` if it has none or does not show it.
    pub(super) overrides: Option<String>,
    tenants: usize,
}

/// An address without a slash at its end, as MIMIR_URL needs it.
///
/// # Errors
/// A message for the operator.
pub(super) fn address(text: &str) -> Result<String, String> {
    let url = MimirUrl::parse(text, "/").map_err(|error| error.to_string())?;
    let text = url.to_string();
    match text.strip_suffix('/') {
        Some(address) if address.matches('/').count() == 2 => Ok(address.to_owned()),
        _ => Err("the address ends with the port: pushes keep the path of the client".to_owned()),
    }
}

impl Running {
    /// Asks the Mimir at an address.
    ///
    /// # Errors
    /// The credentials cannot be used; inside, why it does not answer as a Mimir.
    pub(super) async fn ask(url: &str, credentials: &Credentials) -> anyhow::Result<Result<Self, Step>> {
        let args = MimirArgs { url: MimirUrl::parse(url, "/").ok(), tenant: None, credentials: credentials.clone() };
        let Some(mimir) = MimirClient::new(&args, TIMEOUT)? else { anyhow::bail!("{url} is no address") };
        let version = match mimir.get("/api/v1/status/buildinfo").await {
            Ok(response) => match version(&response) {
                Ok(version) => version,
                Err(step) => return Ok(Err(step)),
            },
            Err(error) => {
                let hint = "start it, or give an address that this machine reaches; --no-check writes the files anyway";
                return Ok(Err(Step::failed(NAME, error.to_string(), hint)));
            }
        };
        // Only what differs from the defaults; a gateway may not show it.
        let page = mimir.get("/runtime_config?mode=diff").await.ok().filter(|page| page.status() == StatusCode::OK);
        let (overrides, tenants) = page.and_then(|page| overrides(page.body())).unzip();
        Ok(Ok(Self { version, overrides, tenants: tenants.unwrap_or_default() }))
    }

    pub(super) fn step(&self) -> Step {
        let overrides = match &self.overrides {
            Some(_) => format!("it has overrides of {}", crate::output::counted(self.tenants as u64, "tenant")),
            None => "it shows no overrides: those of limits.yaml stay".to_owned(),
        };
        Step::passed(NAME, format!("version {}, {overrides}", self.version))
    }
}

fn version(response: &Response<Bytes>) -> Result<String, Step> {
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let version = answer.pointer("/data/version").and_then(Value::as_str).filter(|_| response.status().is_success());
    version.map(str::to_owned).ok_or_else(|| {
        let hint = match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "give credentials (MIMIR_API_USER, MIMIR_API_KEY or MIMIR_AUTH_TOKEN)"
            }
            _ => "the address must be Mimir's own HTTP port or its gateway; --no-check writes the files anyway",
        };
        Step::failed(NAME, format!("/api/v1/status/buildinfo got {}", response.status()), hint)
    })
}

/// The document, and the number of its tenants; nothing if mimir-rls would reject it.
fn overrides(page: &[u8]) -> Option<(String, usize)> {
    if page.starts_with(NO_FILE) {
        return None;
    }
    // Its limits are in force, whatever its release: no field is rejected.
    let any: MimirVersion = "0.0".parse().unwrap_or_default();
    let checked = limits::check(&Defaults::default(), &any, &[SourceDocument::new("runtime_config.yaml", page)]);
    let text = String::from_utf8(page.to_vec()).ok()?;
    (!checked.rejected && !checked.limits.is_empty()).then_some((text, checked.limits.len()))
}
