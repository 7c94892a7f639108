//! Compares the files with a running Mimir.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use limits::{Code, MAX_PROBLEMS, MimirVersion, Problem, Severity, SourceDocument, TenantLimits};
use limits_source::{DefaultLimits, DefaultLimitsError, DefaultLimitsSource, MimirUrl, fetch_page};
use serde_json::Value;

use super::NO_RETRY;
use super::verdict::{Outcome, Verdict};

/// Mimir's overrides, as far as they differ from its defaults.
pub(crate) const OVERRIDES_PAGE: &str = "/runtime_config?mode=diff";
/// Mimir's release.
pub(crate) const BUILD_PAGE: &str = "/api/v1/status/buildinfo";
/// Mimir's answer without a `-runtime-config.file` (Mimir `pkg/mimir/runtime_config.go`).
const NO_FILE: &[u8] = b"runtime config file doesn't exist";

/// The version, defaults and overrides of a running Mimir.
pub(crate) struct RunningMimir {
    url: MimirUrl,
    /// Its release; `None` for a development build.
    pub(crate) version: Option<MimirVersion>,
    pub(crate) defaults: DefaultLimits,
    /// Its overrides, without fields that equal its defaults.
    overrides: Vec<u8>,
}

impl RunningMimir {
    /// Fetches version, defaults and overrides.
    pub(super) async fn fetch(url: &MimirUrl) -> Result<Self, Verdict> {
        let unreadable = |error: &dyn Display| Verdict::unreadable(&url.to_string(), error);
        let page = |path: &str| url.page(path).map_err(|error| unreadable(&error));
        let config = DefaultLimitsSource::Mimir(page("/config")?);
        let defaults = config.resolve(NO_RETRY).await.map_err(|error| match error {
            DefaultLimitsError::Page(error) => unreadable(&error),
            error => unreadable(&error),
        })?;
        // Only the differences from the defaults: ten thousand tenants with all fields exceed the size of a document.
        let overrides = fetch_page(&page(OVERRIDES_PAGE)?, NO_RETRY).await;
        let overrides = overrides.map_err(|error| unreadable(&error))?;
        // Without a release, the newest known one is assumed.
        let version = match fetch_page(&page(BUILD_PAGE)?, NO_RETRY).await {
            Ok(answer) => release(&answer),
            Err(_) => None,
        };
        Ok(Self::new(url, version, defaults, &overrides))
    }

    /// A Mimir with these defaults, and with the overrides of its [`OVERRIDES_PAGE`].
    pub(crate) fn new(
        url: &MimirUrl,
        version: Option<MimirVersion>,
        defaults: DefaultLimits,
        overrides: &[u8],
    ) -> Self {
        let overrides = if overrides.starts_with(NO_FILE) { Vec::new() } else { overrides.to_vec() };
        Self { url: url.clone(), version, defaults, overrides }
    }

    /// The limits of each tenant with an override.
    ///
    /// # Errors
    /// Its page cannot be read.
    pub(crate) fn limits(&self) -> Result<Vec<(String, TenantLimits)>, String> {
        let name = "runtime_config.yaml";
        // Its limits are in force, whatever its release: no field is rejected.
        let any = "0.0".parse().unwrap_or_default();
        let theirs = limits::check(&self.defaults.defaults, &any, &[SourceDocument::new(name, &self.overrides)]);
        if theirs.rejected {
            let first = theirs.problems.first().map_or_else(String::new, ToString::to_string);
            return Err(format!("its /runtime_config cannot be read: {first}"));
        }
        Ok(theirs.limits)
    }

    /// The verdict on the differences; `None` if the files are rejected.
    pub(crate) fn compare(&self, files: &Verdict, own: &DefaultLimits) -> Option<Verdict> {
        let Outcome::Accepted { limits, .. } = &files.outcome else { return None };
        let url = self.url.to_string();
        let theirs = match self.limits() {
            Ok(theirs) => theirs,
            Err(why) => return Some(Verdict::unreadable(&url, &why)),
        };
        let here = Configuration { limits, defaults: &own.defaults.limits };
        let there = Configuration { limits: &theirs, defaults: &self.defaults.defaults.limits };
        let problems = differences(&files.file, &here, &there);
        Some(Verdict::new(url, Outcome::Compared { tenants: theirs.len() }, problems))
    }
}

/// The release in an answer of `/api/v1/status/buildinfo`, such as 3.0 of `3.0.1`.
pub(crate) fn release(answer: &[u8]) -> Option<MimirVersion> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let mut parts = answer.pointer("/data/version")?.as_str()?.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    format!("{major}.{minor}").parse().ok()
}

/// The limits of the files, or those of Mimir.
struct Configuration<'s> {
    limits: &'s [(String, TenantLimits)],
    defaults: &'s TenantLimits,
}

impl<'s> Configuration<'s> {
    fn by_tenant(&self) -> BTreeMap<&'s str, &'s TenantLimits> {
        self.limits.iter().map(|(key, limits)| (key.as_str(), limits)).collect()
    }
}

/// The differences, those of the defaults first; at most [`MAX_PROBLEMS`], the last of which counts the others.
fn differences(document: &str, here: &Configuration<'_>, there: &Configuration<'_>) -> Vec<Problem> {
    let of_defaults: BTreeSet<_> = here.defaults.differences(there.defaults).map(|(field, _)| field).collect();
    let mut found: Vec<_> = differing_fields(here.defaults, there.defaults)
        .map(|(field, own, theirs)| {
            let message = format!("field {field} of the default limits is {own} here and {theirs} in Mimir");
            difference(document, None, field, message)
        })
        .collect();
    let (own, theirs) = (here.by_tenant(), there.by_tenant());
    let tenants: BTreeSet<_> = own.keys().chain(theirs.keys()).copied().collect();
    for tenant in tenants {
        let (has_here, has_there) = (own.get(tenant).copied(), theirs.get(tenant).copied());
        let (own, theirs) = (has_here.unwrap_or(here.defaults), has_there.unwrap_or(there.defaults));
        let (of_here, of_there) = (overridden_fields(own, here.defaults), overridden_fields(theirs, there.defaults));
        for (field, own, theirs) in differing_fields(own, theirs) {
            let is_set = of_here.contains(field) || of_there.contains(field);
            // Reported with the defaults.
            if !is_set && of_defaults.contains(field) {
                continue;
            }
            // Mimir's page omits an empty list of rules, so that it is not known whether it overrides one.
            if field == "metric_relabel_configs" && own == "[]" && !of_there.contains(field) {
                continue;
            }
            let message = match (has_here, has_there) {
                (Some(_), None) => {
                    format!("field {field} is {own} here and {theirs} in Mimir, which has no override of it")
                }
                (None, _) => format!("field {field} is {own} here, where it has no override, and {theirs} in Mimir"),
                (Some(_), Some(_)) => format!("field {field} is {own} here and {theirs} in Mimir"),
            };
            found.push(difference(document, Some(tenant), field, message));
        }
    }
    truncated(document, found)
}

/// The fields that differ, with both values.
fn differing_fields<'l>(
    own: &'l TenantLimits,
    theirs: &'l TenantLimits,
) -> impl Iterator<Item = (&'static str, String, String)> + 'l {
    own.differences(theirs).zip(theirs.differences(own)).map(|((field, own), (_, theirs))| (field, own, theirs))
}

fn overridden_fields(limits: &TenantLimits, defaults: &TenantLimits) -> BTreeSet<&'static str> {
    limits.differences(defaults).map(|(field, _)| field).collect()
}

fn difference(document: &str, tenant: Option<&str>, field: &str, message: String) -> Problem {
    Problem {
        tenant: tenant.map(str::to_owned),
        field: Some(field.to_owned()),
        ..Problem::of_document(Code::DiffersFromMimir, document, Severity::Ignored, message)
    }
}

fn truncated(document: &str, mut found: Vec<Problem>) -> Vec<Problem> {
    let total = found.len();
    if total > MAX_PROBLEMS {
        found.truncate(MAX_PROBLEMS - 1);
        let message = format!("{} more differences are not listed", total - found.len());
        found.push(Problem::of_document(Code::MoreProblems, document, Severity::Ignored, message));
    }
    found
}

#[cfg(test)]
mod tests;
