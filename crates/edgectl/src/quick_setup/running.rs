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
    pub(super) overrides: Overrides,
}

/// The overrides of a running Mimir.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overrides {
    /// Its runtime configuration as YAML, and the number of its tenants.
    Some { text: String, tenants: usize },
    /// No tenant has any.
    None,
    /// It does not show them, and why.
    Unknown(String),
}

impl Overrides {
    /// A document with them.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Some { text, .. } => Some(text),
            Self::None => Some("overrides: {}\n"),
            Self::Unknown(_) => None,
        }
    }
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
        let overrides = match mimir.get("/runtime_config?mode=diff").await {
            // Without a file, its status is another one in some releases.
            Ok(page) if page.status() == StatusCode::OK || page.body().starts_with(NO_FILE) => overrides(page.body()),
            Ok(page) => Overrides::Unknown(format!("/runtime_config got {}", page.status())),
            Err(error) => Overrides::Unknown(error.to_string()),
        };
        Ok(Ok(Self { version, overrides }))
    }

    pub(super) fn step(&self) -> Step {
        let version = &self.version;
        match &self.overrides {
            Overrides::Some { tenants, .. } => {
                let tenants = crate::output::counted(*tenants as u64, "tenant");
                Step::passed(NAME, format!("version {version}, it has overrides of {tenants}"))
            }
            Overrides::None => Step::passed(NAME, format!("version {version}, no tenant has overrides")),
            Overrides::Unknown(why) => {
                let hint = "ops/compose/limits/limits.yaml stays, which has the overrides of the example: write those of Mimir \
                            into it before the edge enforces";
                Step::skipped(NAME, format!("version {version}, but it does not show its overrides: {why}"), hint)
            }
        }
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

/// The overrides of a page; unknown if mimir-rls would reject it.
fn overrides(page: &[u8]) -> Overrides {
    if page.starts_with(NO_FILE) {
        return Overrides::None;
    }
    let text = match String::from_utf8(page.to_vec()) {
        Ok(text) if !text.trim().is_empty() => text,
        _ => return Overrides::Unknown("/runtime_config is no document".to_owned()),
    };
    // Its limits are in force, whatever its release: no field is rejected.
    let any: MimirVersion = "0.0".parse().unwrap_or_default();
    let checked = limits::check(&Defaults::default(), &any, &[SourceDocument::new("runtime_config.yaml", page)]);
    match checked.limits.len() {
        _ if checked.rejected => Overrides::Unknown("/runtime_config is no document of overrides".to_owned()),
        0 => Overrides::None,
        tenants => Overrides::Some { text, tenants },
    }
}

#[cfg(test)]
mod tests {
    use super::{Overrides, overrides};

    #[test]
    fn no_overrides_are_told_from_unreadable_ones() {
        let document = "overrides:\n  team-a:\n    ingestion_rate: 5\n";
        let some = Overrides::Some { text: document.to_owned(), tenants: 1 };
        assert_eq!(overrides(document.as_bytes()), some);
        for page in ["runtime config file doesn't exist\n", "{}\n", "overrides: {}\n"] {
            assert_eq!(overrides(page.as_bytes()), Overrides::None, "{page}");
            assert_eq!(overrides(page.as_bytes()).text(), Some("overrides: {}\n"));
        }
        for page in [&b"<html>a gateway</html>"[..], b"", b"overrides: [", b"\xff"] {
            assert!(matches!(overrides(page), Overrides::Unknown(_)), "{page:?}");
            assert_eq!(overrides(page).text(), None);
        }
    }
}
