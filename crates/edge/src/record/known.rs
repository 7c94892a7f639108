//! Which tenants are known: those with overrides, and those of which a push was allowed.
//!
//! Clients invent names. What is recorded of invented tenants must not take the place of what is recorded of others, so each class of tenants has
//! its own share. Memory is fixed: an allowed tenant is remembered by its hash, until another one has the same place.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use enforce::BucketOwner;

/// Places for allowed tenants, 8 bytes each.
const PLACES: usize = 1 << 16;

/// What is known of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantClass {
    /// It has an override in the limits that decided its push.
    Overridden,
    /// One of its pushes was allowed.
    Allowed,
    /// Neither, or there is no valid tenant.
    Unknown,
}

impl TenantClass {
    pub(crate) const ALL: [Self; 3] = [Self::Overridden, Self::Allowed, Self::Unknown];
}

/// One value for each class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerClass<T> {
    pub(crate) overridden: T,
    pub(crate) allowed: T,
    pub(crate) unknown: T,
}

impl<T> PerClass<T> {
    pub(crate) fn of(&self, class: TenantClass) -> &T {
        match class {
            TenantClass::Overridden => &self.overridden,
            TenantClass::Allowed => &self.allowed,
            TenantClass::Unknown => &self.unknown,
        }
    }

    pub(crate) fn of_mut(&mut self, class: TenantClass) -> &mut T {
        match class {
            TenantClass::Overridden => &mut self.overridden,
            TenantClass::Allowed => &mut self.allowed,
            TenantClass::Unknown => &mut self.unknown,
        }
    }

    pub(crate) fn map<U>(self, mut to: impl FnMut(T) -> U) -> PerClass<U> {
        let Self { overridden, allowed, unknown } = self;
        PerClass { overridden: to(overridden), allowed: to(allowed), unknown: to(unknown) }
    }
}

/// The known tenants, for use by many threads at once.
pub(super) struct KnownTenants {
    /// The hash of the last allowed tenant at each place; 0: none.
    allowed: Box<[AtomicU64]>,
    /// Seeded at random, or a client could find names with the places of others.
    hasher: RandomState,
}

impl Default for KnownTenants {
    fn default() -> Self {
        let allowed = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { allowed, hasher: RandomState::new() }
    }
}

impl KnownTenants {
    /// A push of this bare tenant was allowed.
    pub(super) fn allowed(&self, tenant: &str) {
        let (hash, place) = self.place(tenant);
        // Most pushes find it there; a store would take the cache line from other cores.
        if let Some(place) = place.filter(|place| place.load(Ordering::Relaxed) != hash) {
            place.store(hash, Ordering::Relaxed);
        }
    }

    /// The class of the tenant of a push.
    pub(super) fn class_of(&self, owner: Option<&BucketOwner<'_>>) -> TenantClass {
        let Some(BucketOwner { tenant, has_override }) = owner else { return TenantClass::Unknown };
        if *has_override {
            return TenantClass::Overridden;
        }
        let (hash, place) = self.place(tenant.id());
        match place {
            Some(place) if place.load(Ordering::Relaxed) == hash => TenantClass::Allowed,
            _ => TenantClass::Unknown,
        }
    }

    fn place(&self, tenant: &str) -> (u64, Option<&AtomicU64>) {
        let hash = self.hasher.hash_one(tenant).max(1);
        (hash, usize::try_from(hash).ok().and_then(|hash| self.allowed.get(hash % PLACES)))
    }
}

#[cfg(test)]
mod tests {
    use limits::Tenant;

    use super::*;

    fn owner(tenant: &str) -> BucketOwner<'_> {
        BucketOwner { tenant: Tenant::parse(Some(tenant.as_bytes())).unwrap(), has_override: false }
    }

    #[test]
    fn tenants_are_known_by_an_override_or_an_allowed_push() {
        let known = KnownTenants::default();
        let classes = |has_override| {
            let named = BucketOwner { has_override, ..owner("named") };
            [Some(named), Some(owner("pushed")), Some(owner("invented")), None].map(|it| known.class_of(it.as_ref()))
        };
        assert_eq!(classes(false), [TenantClass::Unknown; 4]);
        known.allowed("pushed");
        let expected = [TenantClass::Overridden, TenantClass::Allowed, TenantClass::Unknown, TenantClass::Unknown];
        assert_eq!(classes(true), expected);
    }

    /// A tenant whose place was taken is known again after its next allowed push.
    #[test]
    fn many_allowed_names_take_no_more_memory() {
        let known = KnownTenants::default();
        (0..200_000).for_each(|name| known.allowed(&name.to_string()));
        known.allowed("back");
        assert_eq!(known.class_of(Some(&owner("back"))), TenantClass::Allowed);
        assert_eq!(known.allowed.len(), PLACES);
    }
}
