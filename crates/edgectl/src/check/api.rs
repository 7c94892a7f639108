//! What this program asks of the `limits` crate, in one place.

use std::str::FromStr;

use limits::{LimitsState, Problem, SourceDocument, TenantLimits};

/// A release of Mimir.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MimirVersion;

impl FromStr for MimirVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            Some((major, minor)) if number(major) && number(minor) => Ok(Self),
            _ => Err(format!("{text:?} is no version of Mimir: write two numbers such as 3.1")),
        }
    }
}

/// What was found of documents.
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    pub(super) tenants: usize,
    pub(super) refused: bool,
    pub(super) limits: Vec<(String, TenantLimits)>,
}

pub(super) type Defaults = TenantLimits;

pub(super) fn limits_of(defaults: &Defaults) -> &TenantLimits {
    defaults
}

pub(super) fn check(defaults: &Defaults, _version: &MimirVersion, documents: &[SourceDocument<'_>]) -> Checked {
    // A document without tenants is suspicious only after one that had some, so this never keeps anything.
    let applied = LimitsState::new(defaults.clone(), false).apply(documents);
    let limits: Vec<_> = applied.snapshot.as_ref().map_or_else(Vec::new, |snapshot| {
        snapshot.tenants().map(|(key, entry)| (key.as_str().to_owned(), entry.limits.clone())).collect()
    });
    Checked { problems: applied.problems, tenants: limits.len(), refused: applied.snapshot.is_none(), limits }
}

pub(super) fn mimirs_words(_problem: &Problem) -> Option<&str> {
    None
}
