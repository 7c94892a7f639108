//! What the probes find: one result for each thing that is checked.

use serde::{Serialize, Serializer};

/// A hop from a client to Mimir, or the cluster that is to have the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hop {
    Kubernetes,
    FrontDoor,
    Envoy,
    MimirRls,
    OverridesSync,
    Document,
    Mimir,
}

impl Hop {
    /// The way of a push, and of the limits that decide it.
    pub(crate) const OF_A_PUSH: [Self; 6] =
        [Self::FrontDoor, Self::Envoy, Self::MimirRls, Self::OverridesSync, Self::Document, Self::Mimir];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::FrontDoor => "front door",
            Self::Envoy => "Envoy",
            Self::MimirRls => "mimir-rls",
            Self::OverridesSync => "overrides-sync",
            Self::Document => "overrides document",
            Self::Mimir => "Mimir",
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How a check ends, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    /// Not checked, because a flag is not given or something else is broken.
    Skipped,
    Warning,
    Failure,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    #[serde(rename = "group")]
    pub(crate) hop: Hop,
    pub(crate) status: Status,
    /// What is so if all is well.
    pub(crate) check: &'static str,
    /// What was found; several lines if there is much to say.
    pub(crate) detail: String,
    #[serde(flatten)]
    pub(crate) advice: Option<Advice>,
}

/// What the operator can do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Advice {
    pub(crate) hint: String,
    /// A line of a shell, or of a configuration.
    pub(crate) command: Option<String>,
    /// A page of this repository.
    pub(crate) see: Link,
}

impl Advice {
    /// With a command, if there is one.
    pub(crate) fn new(hint: impl Into<String>, command: impl Into<Option<String>>, see: Link) -> Self {
        Self { hint: hint.into(), command: command.into(), see }
    }

    /// Without a command.
    pub(crate) fn hint(hint: impl Into<String>, see: Link) -> Self {
        Self { hint: hint.into(), command: None, see }
    }
}

impl Finding {
    pub(crate) fn ok(hop: Hop, check: &'static str, detail: impl Into<String>) -> Self {
        Self { hop, status: Status::Ok, check, detail: detail.into(), advice: None }
    }

    pub(crate) fn skipped(hop: Hop, check: &'static str, why: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(hop, check, why) }
    }

    pub(crate) fn warning(hop: Hop, check: &'static str, detail: impl Into<String>, advice: Advice) -> Self {
        Self { status: Status::Warning, advice: Some(advice), ..Self::ok(hop, check, detail) }
    }

    pub(crate) fn failure(hop: Hop, check: &'static str, detail: impl Into<String>, advice: Advice) -> Self {
        Self { status: Status::Failure, advice: Some(advice), ..Self::ok(hop, check, detail) }
    }
}

/// The pages that results name, all of which are in this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    AnswersToAPush,
    CertificateExpiring,
    CheckTheInstallation,
    CompareWithMimir,
    DefaultLimits,
    EdgeBypassed,
    EnvoyDown,
    HaTrackerStale,
    Install,
    LimitsRejected,
    LimitsStale,
    MimirUnreachable,
    NotReady,
    OverridesSyncDown,
    Permissions,
    PushesTooLarge,
    RlsDown,
    RlsUnreachable,
    TenantOfAProbe,
    TenantRefused,
    Versions,
}

impl Link {
    #[cfg(test)]
    const ALL: [Self; 21] = [
        Self::AnswersToAPush,
        Self::CertificateExpiring,
        Self::CheckTheInstallation,
        Self::CompareWithMimir,
        Self::DefaultLimits,
        Self::EdgeBypassed,
        Self::EnvoyDown,
        Self::HaTrackerStale,
        Self::Install,
        Self::LimitsRejected,
        Self::LimitsStale,
        Self::MimirUnreachable,
        Self::NotReady,
        Self::OverridesSyncDown,
        Self::Permissions,
        Self::PushesTooLarge,
        Self::RlsDown,
        Self::RlsUnreachable,
        Self::TenantOfAProbe,
        Self::TenantRefused,
        Self::Versions,
    ];

    pub(crate) fn page(self) -> &'static str {
        match self {
            Self::AnswersToAPush => "docs/troubleshooting.md#answers-to-a-push",
            Self::CertificateExpiring => "ops/runbooks/alerts.md#certificateexpiring",
            Self::CheckTheInstallation => "docs/kubernetes.md#check-the-installation",
            Self::CompareWithMimir => "docs/edgectl.md#against-a-running-mimir",
            Self::DefaultLimits => "docs/configuration.md#default-limits",
            Self::EdgeBypassed => "ops/runbooks/alerts.md#edgebypassed",
            Self::EnvoyDown => "ops/runbooks/alerts.md#envoydown",
            Self::HaTrackerStale => "ops/runbooks/alerts.md#hatrackerstale",
            Self::Install => "docs/kubernetes.md#install",
            Self::LimitsRejected => "ops/runbooks/alerts.md#limitsrejected",
            Self::LimitsStale => "ops/runbooks/alerts.md#limitsstale",
            Self::MimirUnreachable => "ops/runbooks/alerts.md#mimirunreachable",
            Self::NotReady => "docs/troubleshooting.md#mimir-rls-is-not-ready",
            Self::OverridesSyncDown => "ops/runbooks/alerts.md#overridessyncdown",
            Self::Permissions => "docs/overrides-sync.md#permissions",
            Self::PushesTooLarge => "ops/runbooks/alerts.md#pushestoolarge",
            Self::RlsDown => "ops/runbooks/alerts.md#rlsdown",
            Self::RlsUnreachable => "ops/runbooks/alerts.md#rlsunreachable",
            Self::TenantOfAProbe => "docs/edgectl.md#probe-pushes",
            Self::TenantRefused => "ops/runbooks/alerts.md#tenantrefused",
            Self::Versions => "docs/versions.md",
        }
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.page())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A heading's anchor, as GitHub makes it.
    fn anchor(heading: &str) -> String {
        let kept = heading.to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
    }

    #[test]
    fn each_link_leads_to_a_heading_of_the_docs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for link in Link::ALL {
            let (file, wanted) = link.page().split_once('#').unwrap_or((link.page(), ""));
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            let found = headings.any(|line| anchor(line.trim_start_matches('#').trim()) == wanted);
            assert!(wanted.is_empty() || found, "{}", link.page());
        }
    }
}
