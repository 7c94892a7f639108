//! Pushes of which the edge cannot tell what Mimir charges: why, and what they cost all the same.
//!
//! None of them is free: each is charged the most that Mimir may charge for it, and none is denied by a limit of Mimir's, since Mimir may
//! take it. What is over the limit is within a bound of the tenant's own, see [`enforce::Enforcer::charge_unmetered`].

use limits::Tenant;
use remote_write::{PushCounts, Unmetered as Contents};

use crate::control::RelabelUnavailable;
use crate::decode::DecodedPush;

/// Why what Mimir charges for a push is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmetered {
    /// It is in what the push holds.
    Contents(Contents),
    /// The tenant has a relabelling rule that the edge cannot run.
    RelabelRule,
    /// The tenant's relabelling rules are new, and not compiled yet.
    RelabelCompiling,
    /// A Prometheus pair is of a tenant with more pairs than are held, or has a name that is none.
    HaUntracked,
    /// A pair is one more than `ha_max_clusters` here; Mimir may know fewer.
    HaTooManyClusters,
    /// Whom Mimir elected is not known: its tracker has given no list.
    HaNoList,
    /// Mimir has to get the push, since it has not named the pair yet or would elect another replica.
    HaDue,
    /// The push asks Mimir not to validate labels, which its instance may allow, and has series that are invalid here.
    ValidationSkipped,
    /// The tenant's metadata suffix is malformed, which Mimir's versions answer differently.
    TenantSuffix,
}

/// What became of such a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmeteredOutcome {
    /// The ingestion bucket held the most that it may cost.
    Charged,
    /// It did not, or was not asked: Mimir answers the push.
    NotMetered,
    /// The tenant sent more of such than its bound.
    Denied,
}

impl UnmeteredOutcome {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Charged, Self::NotMetered, Self::Denied];

    /// The label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::NotMetered => "not_metered",
            Self::Denied => "denied",
        }
    }
}

impl Unmetered {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::RelabelRule,
            Self::RelabelCompiling,
            Self::HaUntracked,
            Self::HaTooManyClusters,
            Self::HaNoList,
            Self::HaDue,
            Self::ValidationSkipped,
            Self::TenantSuffix,
        ];
        Contents::ALL.into_iter().map(Self::Contents).chain(own)
    }

    /// The label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contents(why) => why.as_str(),
            Self::RelabelRule => "relabel_rule",
            Self::RelabelCompiling => "relabel_compiling",
            Self::HaUntracked => "ha_untracked",
            Self::HaTooManyClusters => "ha_too_many_clusters",
            Self::HaNoList => "ha_no_list",
            Self::HaDue => "ha_due",
            Self::ValidationSkipped => "validation_skipped",
            Self::TenantSuffix => "tenant_suffix",
        }
    }

    /// Why a push that was decoded cannot be metered; `None` if it can. Of several reasons the one that says least of its costs.
    pub(super) fn of(decoded: &DecodedPush, tenant: &Tenant<'_>) -> Option<Self> {
        let DecodedPush { counts, election, relabel_unavailable, skips_validation, .. } = decoded;
        let skipped = *skips_validation && counts.items() < counts.sent.items();
        let reasons = [
            (tenant.suffix_is_refused(), Self::TenantSuffix),
            (election.untracked, Self::HaUntracked),
            (election.too_many_clusters, Self::HaTooManyClusters),
            (election.unknown, Self::HaNoList),
        ];
        let found = reasons.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why);
        found
            .or(relabel_unavailable.map(|why| match why {
                RelabelUnavailable::Unsupported => Self::RelabelRule,
                RelabelUnavailable::Compiling => Self::RelabelCompiling,
            }))
            .or(skipped.then_some(Self::ValidationSkipped))
            .or(counts.unmetered.map(Self::Contents))
            .or(election.forwarded.then_some(Self::HaDue))
    }

    /// Whether the tenant's ingestion bucket pays. Not where Mimir mostly charges nothing, or takes only one replica of two: their
    /// tokens are those of pushes that it does charge.
    pub(super) fn charges_ingestion(self) -> bool {
        match self {
            Self::Contents(_) | Self::RelabelRule | Self::ValidationSkipped | Self::HaDue => true,
            // Its rules may drop most of it, and are soon there: the exact pushes after it are to find their tokens.
            Self::RelabelCompiling
            | Self::HaUntracked
            | Self::HaTooManyClusters
            | Self::HaNoList
            | Self::TenantSuffix => false,
        }
    }

    /// Whether what was charged may come back if Mimir does not take the push. Not where a client can make Mimir fail, by a name or a suffix that is
    /// none: Mimir has charged the request by then.
    pub(super) fn is_refundable(self) -> bool {
        !matches!(self, Self::HaUntracked | Self::TenantSuffix)
    }

    /// The most items that Mimir may charge for a push with these counts; and how many of them it most likely does not, so that the ingestion bucket
    /// is not to pay for them.
    pub(super) fn max_items(self, counts: &PushCounts) -> (u64, u64) {
        let items = self.items(counts);
        (items, counts.doubtful.min(items))
    }

    fn items(self, counts: &PushCounts) -> u64 {
        match self {
            Self::Contents(_) | Self::HaNoList | Self::HaDue => counts.items(),
            Self::RelabelRule
            | Self::RelabelCompiling
            | Self::ValidationSkipped
            | Self::HaUntracked
            | Self::HaTooManyClusters
            | Self::TenantSuffix => counts.sent.items(),
        }
    }
}
