//! What a running Mimir has, and where the files say something else.

use std::collections::{BTreeMap, BTreeSet};

use limits::{Code, MAX_PROBLEMS, MimirVersion, Problem, Severity, SourceDocument, TenantLimits};
use limits_source::{DefaultLimits, DefaultLimitsError, DefaultLimitsSource, MimirUrl, fetch_page};
use serde::Deserialize;

use super::NO_RETRY;
use super::verdict::{Outcome, Verdict};

/// What Mimir answers where it has no `-runtime-config.file` (Mimir `pkg/mimir/runtime_config.go`).
const NO_FILE: &[u8] = b"runtime config file doesn't exist";

/// The version, defaults and overrides of a running Mimir.
pub(super) struct RunningMimir {
    url: MimirUrl,
    /// Its release; nothing of a build that is none.
    pub(super) version: Option<MimirVersion>,
    pub(super) defaults: DefaultLimits,
    /// What its overrides have that is not its defaults.
    overrides: Vec<u8>,
}

impl RunningMimir {
    /// Fetches version, defaults and overrides.
    pub(super) async fn fetch(url: &MimirUrl) -> Result<Self, Verdict> {
        let page = |path: &str| url.page(path).map_err(|error| Verdict::unreadable(&url.to_string(), &error));
        let config = DefaultLimitsSource::Mimir(page("/config")?);
        let defaults = config.resolve(NO_RETRY).await.map_err(|error| not_read(url, &error))?;
        // Only what differs from the defaults: ten thousand tenants with all their fields are more than a document may have.
        let overrides = fetch_page(&page("/runtime_config?mode=diff")?, NO_RETRY).await;
        let overrides = overrides.map_err(|error| Verdict::unreadable(&url.to_string(), &error))?;
        let overrides = if overrides.starts_with(NO_FILE) { Vec::new() } else { overrides.to_vec() };
        // Whatever does not say a release is taken for the newest known one.
        let version = match fetch_page(&page("/api/v1/status/buildinfo")?, NO_RETRY).await {
            Ok(answer) => release(&answer),
            Err(_) => None,
        };
        Ok(Self { url: url.clone(), version, defaults, overrides })
    }

    /// The verdict on the differences; none where the files are no good, so that there is nothing to compare.
    pub(super) fn compare(self, files: &Verdict, own: &DefaultLimits) -> Option<Verdict> {
        let Outcome::Accepted { limits, .. } = &files.outcome else { return None };
        let name = "runtime_config.yaml";
        // Whatever release it is, what it shows is in force there: no field is refused.
        let any = "0.0".parse().unwrap_or_default();
        let theirs = limits::check(&self.defaults.defaults, &any, &[SourceDocument::new(name, &self.overrides)]);
        let url = self.url.to_string();
        if theirs.refused {
            let first = theirs.problems.first().map_or_else(String::new, ToString::to_string);
            return Some(Verdict::unreadable(
                &url,
                &format!("its /runtime_config is none that is understood: {first}"),
            ));
        }
        let here = Side { limits, defaults: &own.defaults.limits };
        let there = Side { limits: &theirs.limits, defaults: &self.defaults.defaults.limits };
        let problems = differences(&files.file, &here, &there);
        Some(Verdict::new(url, Outcome::Compared { tenants: theirs.limits.len() }, problems))
    }
}

fn not_read(url: &MimirUrl, error: &DefaultLimitsError) -> Verdict {
    match error {
        DefaultLimitsError::Page(error) => Verdict::unreadable(&url.to_string(), error),
        error => Verdict::unreadable(&url.to_string(), error),
    }
}

/// The release in an answer of `/api/v1/status/buildinfo`, such as 3.0 of `3.0.1`.
fn release(answer: &[u8]) -> Option<MimirVersion> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        version: String,
    }
    let Answer { data: Data { version } } = serde_json::from_slice(answer).ok()?;
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    format!("{major}.{minor}").parse().ok()
}

/// What holds at one of the two.
struct Side<'s> {
    limits: &'s [(String, TenantLimits)],
    defaults: &'s TenantLimits,
}

impl<'s> Side<'s> {
    fn by_tenant(&self) -> BTreeMap<&'s str, &'s TenantLimits> {
        self.limits.iter().map(|(key, limits)| (key.as_str(), limits)).collect()
    }
}

/// Every difference, of the defaults first; at most [`MAX_PROBLEMS`], the last of which says how many more there are.
fn differences(document: &str, here: &Side<'_>, there: &Side<'_>) -> Vec<Problem> {
    let of_defaults: BTreeSet<_> = here.defaults.differences(there.defaults).map(|(field, _)| field).collect();
    let mut found: Vec<_> = pairs(here.defaults, there.defaults)
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
        let (of_here, of_there) = (by_field(own, here.defaults), by_field(theirs, there.defaults));
        for (field, own, theirs) in pairs(own, theirs) {
            let is_set = of_here.contains(field) || of_there.contains(field);
            // Reported once, with the defaults.
            if !is_set && of_defaults.contains(field) {
                continue;
            }
            // Mimir's page leaves an emptied list of rules out, so whether this one is empty there is not known.
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
    bounded(document, found)
}

/// The fields in which the two differ, with both values.
fn pairs<'l>(
    own: &'l TenantLimits,
    theirs: &'l TenantLimits,
) -> impl Iterator<Item = (&'static str, String, String)> + 'l {
    own.differences(theirs).zip(theirs.differences(own)).map(|((field, own), (_, theirs))| (field, own, theirs))
}

fn by_field(limits: &TenantLimits, defaults: &TenantLimits) -> BTreeSet<&'static str> {
    limits.differences(defaults).map(|(field, _)| field).collect()
}

fn difference(document: &str, tenant: Option<&str>, field: &str, message: String) -> Problem {
    Problem {
        tenant: tenant.map(str::to_owned),
        field: Some(field.to_owned()),
        ..Problem::of_document(Code::DiffersFromMimir, document, Severity::Ignored, message)
    }
}

fn bounded(document: &str, mut found: Vec<Problem>) -> Vec<Problem> {
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
