//! Pushes that cannot be metered: why the edge cannot tell what Mimir charges, and what they cost all the same.
//!
//! None of them is free: each is charged the most that Mimir may charge for it. None is denied by a limit of Mimir's, since Mimir may
//! accept it: beyond the limit, they have a bound of their own, see [`enforce::Enforcer::charge_unmetered`].

use limits::Tenant;
use remote_write::{PushCounts, Unmetered as Contents};

use crate::control::RelabelUnavailable;
use crate::decode::DecodedPush;

/// Why a push cannot be metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmetered {
    /// The reason is in what the push holds.
    Contents(Contents),
    /// The tenant has a relabelling rule that the edge cannot run.
    RelabelRule,
    /// The tenant's relabelling rules are not compiled yet.
    RelabelCompiling,
    /// The tenant has more Prometheus pairs than are kept, or a pair has an invalid name.
    HaUntracked,
    /// The pair is over `ha_max_clusters` here; Mimir may know fewer.
    HaTooManyClusters,
    /// There is no fresh list of Mimir's HA tracker.
    HaNoList,
    /// Mimir has to get the push: it has not listed the pair yet, or would elect another replica.
    HaDue,
    /// The push asks Mimir not to validate labels, which its instance may allow, and has series that are invalid here.
    ValidationSkipped,
    /// The tenant's metadata suffix is malformed, and Mimir's versions differ in how they answer that.
    TenantSuffix,
}

limits::named_enum! {
    /// The outcome of a push that cannot be metered.
    UnmeteredOutcome {
        /// The ingestion bucket held the most that it may cost.
        Charged = "charged",
        /// The ingestion bucket held less, or was not charged: Mimir answers the push.
        NotMetered = "not_metered",
        /// The tenant is over its bound for such pushes.
        Denied = "denied",
    }
}

impl Unmetered {
    /// Every variant.
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

    /// The value of the label.
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

    /// Why a decoded push cannot be metered; `None` if it can. Of several reasons, the one that leaves its cost least known.
    pub(super) fn of(decoded: &DecodedPush, tenant: &Tenant<'_>) -> Option<Self> {
        let DecodedPush { counts, election, relabel_unavailable, skips_validation, .. } = decoded;
        let skipped = *skips_validation && counts.items() < counts.sent.items();
        let reasons = [
            (tenant.has_invalid_suffix(), Self::TenantSuffix),
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
            .or(election.due.then_some(Self::HaDue))
    }

    /// Whether the tenant's ingestion bucket is charged. Not where Mimir mostly charges nothing, or takes only one replica of two: the tokens are
    /// for pushes that it does charge.
    pub(super) fn charges_ingestion(self) -> bool {
        match self {
            Self::Contents(_) | Self::RelabelRule | Self::ValidationSkipped | Self::HaDue => true,
            // The rules may drop most of the push, and are soon compiled: the tokens are for the exact pushes after it.
            Self::RelabelCompiling
            | Self::HaUntracked
            | Self::HaTooManyClusters
            | Self::HaNoList
            | Self::TenantSuffix => false,
        }
    }

    /// Whether the charge may be refunded if Mimir does not take the push. Not where a client can make Mimir fail by an invalid name or suffix: Mimir
    /// has charged the request by then.
    pub(super) fn is_refundable(self) -> bool {
        !matches!(self, Self::HaUntracked | Self::TenantSuffix)
    }

    /// The most items that Mimir may charge for a push with these counts, and how many of them it most likely does not charge: the ingestion bucket
    /// does not pay for those.
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
