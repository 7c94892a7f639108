//! The first stage: a budget of bytes in flight, with a share for each tenant.
//!
//! Invariant: the reservations of a tenant never exceed its share, all together never exceed the limit, and each releases exactly what it reserved.

mod arrival;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use limits::TenantId;

pub use arrival::Arrival;

/// A tenant's share is the budget divided by this.
pub const SHARES: usize = 4;

/// A budget, in bytes.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    reserved: AtomicUsize,
    /// Bytes reserved by each tenant that has any; calls without a known tenant share one entry.
    tenants: DashMap<Option<TenantId>, usize>,
}

/// Which limit has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetExceeded {
    /// The share of the tenant.
    Tenant,
    /// The whole budget.
    Global,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, reserved: AtomicUsize::new(0), tenants: DashMap::new() })
    }

    /// The whole budget, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The most that one tenant may reserve, in bytes.
    #[must_use]
    pub fn share(&self) -> usize {
        self.limit / SHARES
    }

    /// What is reserved now, in bytes.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Whether more than half of it is reserved, or more than half of the tenant's share.
    fn is_tight(&self, tenant: &Option<TenantId>) -> bool {
        let of_tenant = self.tenants.get(tenant).map_or(0, |reserved| *reserved);
        self.reserved() > self.limit / 2 || of_tenant > self.share() / 2
    }

    /// Reserves `bytes` for a bare tenant, or for a call without a known tenant, until the reservation is dropped.
    ///
    /// # Errors
    /// There is no room; nothing is reserved then.
    pub fn reserve(self: &Arc<Self>, tenant: Option<&str>, bytes: usize) -> Result<Reservation, BudgetExceeded> {
        let tenant = tenant.map(TenantId::from);
        let reservation = Reservation { budget: Arc::clone(self), tenant, bytes: AtomicUsize::new(0) };
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// The tenant's entry stays locked over both checks, so that neither has to be undone.
    fn take(&self, tenant: &Option<TenantId>, bytes: usize) -> Result<(), BudgetExceeded> {
        let entry = self.tenants.entry(tenant.clone());
        let had = if let Entry::Occupied(entry) = &entry { *entry.get() } else { 0 };
        let has = had.checked_add(bytes).filter(|&has| has <= self.share()).ok_or(BudgetExceeded::Tenant)?;
        let fits = |reserved: usize| reserved.checked_add(bytes).filter(|&all| all <= self.limit);
        self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| BudgetExceeded::Global)?;
        entry.insert(has);
        Ok(())
    }

    fn release(&self, tenant: &Option<TenantId>, bytes: usize) {
        if let Entry::Occupied(mut entry) = self.tenants.entry(tenant.clone()) {
            let left = entry.get().saturating_sub(bytes);
            if left == 0 {
                entry.remove();
            } else {
                entry.insert(left);
            }
        }
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of the budget that are reserved until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    tenant: Option<TenantId>,
    bytes: AtomicUsize,
}

impl Reservation {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// There is no room; the reservation stays as it was.
    pub fn grow(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        if bytes > 0 {
            self.budget.take(&self.tenant, bytes)?;
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether others may soon miss what this holds: more than half of the budget, or of the tenant's share, is reserved.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.budget.is_tight(&self.tenant)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        if bytes > 0 {
            self.budget.release(&self.tenant, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
