//! The recent denials, for the admin API.
//!
//! Classes of tenants share the rows, and within a class its tenants: the oldest row of the tenant with the most rows goes first. So neither a tenant in a
//! retry storm nor invented names push out what others were denied. Unknown tenants count as one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::DenialRecord;
use crate::record::known::{PerClass, TenantClass};

/// How many are kept; with the longest texts they take about 2 MB.
const KEPT: usize = 1_000;
/// Rows that a class keeps while others want more. Together they are all rows.
const SHARES: PerClass<usize> = PerClass { overridden: 500, allowed: 375, unknown: 125 };

/// The recent denials in the order of their sequence numbers.
#[derive(Default)]
pub(super) struct Recent {
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    denials: BTreeMap<u64, Arc<DenialRecord>>,
    classes: PerClass<ClassRows>,
    last: u64,
}

/// The rows of one class of tenants.
#[derive(Default)]
struct ClassRows {
    count: usize,
    /// The sequence numbers of each tenant's rows, oldest first. Unknown tenants have one entry.
    tenants: HashMap<Box<str>, VecDeque<u64>>,
}

impl ClassRows {
    fn add(&mut self, tenant: &str, sequence: u64) {
        self.count = self.count.saturating_add(1);
        match self.tenants.get_mut(tenant) {
            Some(rows) => rows.push_back(sequence),
            None => _ = self.tenants.insert(tenant.into(), VecDeque::from([sequence])),
        }
    }

    /// Removes the oldest row of the tenant with the most rows; of several, the oldest of all.
    fn remove(&mut self) -> Option<u64> {
        let most = self.tenants.iter_mut().max_by_key(|(_, rows)| (rows.len(), Reverse(rows.front().copied())));
        let (tenant, rows) = most?;
        let sequence = rows.pop_front();
        if rows.is_empty() {
            let tenant = tenant.clone();
            self.tenants.remove(&tenant);
        }
        self.count = self.count.saturating_sub(1);
        sequence
    }
}

impl Rows {
    /// Removes a row of the class that is the most over its share.
    fn evict(&mut self) -> Option<Arc<DenialRecord>> {
        let classes = &mut self.classes;
        // All shares are all rows, so that a class is over its share once there is a row too many.
        let class = TenantClass::ALL
            .into_iter()
            .max_by_key(|class| classes.of(*class).count.checked_sub(*SHARES.of(*class)))?;
        let sequence = classes.of_mut(class).remove()?;
        self.denials.remove(&sequence)
    }
}

impl Recent {
    /// Adds a denial with the next sequence number; one row too many is dropped.
    pub(super) fn add(&self, record: DenialRecord, class: TenantClass) -> Arc<DenialRecord> {
        let mut record = Arc::new(record);
        let evicted;
        {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let sequence = rows.last.saturating_add(1);
            if let Some(record) = Arc::get_mut(&mut record) {
                record.sequence = sequence;
            }
            rows.last = sequence;
            let tenant = if class == TenantClass::Unknown { None } else { record.bare_tenant() };
            rows.classes.of_mut(class).add(tenant.unwrap_or_default(), sequence);
            rows.denials.insert(sequence, Arc::clone(&record));
            evicted = if rows.denials.len() > KEPT { rows.evict() } else { None };
        }
        // Freed outside of the lock, which every denial takes.
        drop(evicted);
        record
    }

    /// At most `limit` denials, newest first, with sequence numbers below `after`, of `tenant` with or without metadata.
    pub(super) fn page(&self, after: Option<u64>, tenant: Option<&str>, limit: usize) -> Vec<Arc<DenialRecord>> {
        let mut page = Vec::with_capacity(limit.min(KEPT));
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = rows.denials.range(..after.unwrap_or(u64::MAX)).map(|(_, one)| one).rev().filter(|one| {
            tenant.is_none_or(|tenant| one.tenant.as_deref() == Some(tenant) || one.bare_tenant() == Some(tenant))
        });
        page.extend(matching.take(limit).cloned());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::denials::tests::denied_push;

    fn filled(tenants: &[&str]) -> Recent {
        let recent = Recent::default();
        for tenant in tenants {
            recent.add(denied_push(tenant), TenantClass::Allowed);
        }
        recent
    }

    #[track_caller]
    fn check(recent: &Recent, (after, tenant, limit): (Option<u64>, Option<&str>, usize), expected: &[u64]) {
        let sequences: Vec<_> = recent.page(after, tenant, limit).iter().map(|one| one.sequence).collect();
        assert_eq!(sequences, expected);
    }

    #[test]
    fn pages_list_newest_first_and_filter_by_tenant() {
        let recent = filled(&["a", "b", "a:k=v", "ab", "a"]);
        check(&recent, (None, None, 10), &[5, 4, 3, 2, 1]);
        check(&recent, (None, None, 2), &[5, 4]);
        check(&recent, (Some(4), None, 2), &[3, 2]);
        check(&recent, (Some(1), None, 2), &[]);
        check(&recent, (Some(99), None, 1), &[5]);
        check(&recent, (None, None, 0), &[]);
        check(&recent, (None, Some("a"), 10), &[5, 3, 1]);
        check(&recent, (None, Some("a:k=v"), 10), &[3]);
        check(&recent, (Some(5), Some("a"), 1), &[3]);
        check(&recent, (None, Some("c"), 10), &[]);
    }

    #[test]
    fn only_recent_denials_are_kept_and_paging_stays_stable() {
        let recent = Recent::default();
        for _ in 0..KEPT + 10 {
            recent.add(denied_push("a"), TenantClass::Allowed);
        }
        let page = recent.page(None, None, usize::MAX);
        assert_eq!(page.len(), KEPT);
        assert_eq!(page.last().map(|one| one.sequence), Some(11));
        recent.add(denied_push("a"), TenantClass::Allowed);
        check(&recent, (Some(1_009), None, 2), &[1_008, 1_007]);
        check(&recent, (Some(13), None, 2), &[12]);
    }

    #[test]
    fn concurrent_denials_are_kept_in_number_order() {
        let recent = Recent::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| drop(recent.add(denied_push("a"), TenantClass::Allowed))));
            }
        });
        check(&recent, (None, None, 400), &(1..=400).rev().collect::<Vec<_>>());
    }

    /// How many rows these tenants have together.
    fn rows_of(recent: &Recent, tenants: &[&str]) -> usize {
        tenants.iter().map(|tenant| recent.page(None, Some(tenant), KEPT).len()).sum()
    }

    #[test]
    fn a_storm_of_one_tenant_leaves_the_rows_of_others() {
        let recent = filled(&["a", "b", "c", "a:k=v"]);
        for _ in 0..10_000 {
            recent.add(denied_push("storm"), TenantClass::Allowed);
        }
        assert_eq!(rows_of(&recent, &["a", "b", "c"]), 4);
        assert_eq!(rows_of(&recent, &["storm"]), KEPT - 4);
    }

    #[test]
    fn invented_names_leave_the_rows_of_known_tenants() {
        let recent = filled(&["a"; 200]);
        recent.add(denied_push("named"), TenantClass::Overridden);
        for name in 0..10_000 {
            recent.add(denied_push(&format!("x{name}")), TenantClass::Unknown);
        }
        assert_eq!((rows_of(&recent, &["a"]), rows_of(&recent, &["named"])), (200, 1));
        for round in 0..10_000 {
            recent.add(denied_push(&format!("y{}", round % 700)), TenantClass::Allowed);
            recent.add(denied_push(&format!("x{round}")), TenantClass::Unknown);
        }
        assert_eq!(rows_of(&recent, &["named"]), 1);
        assert_eq!(recent.page(None, None, usize::MAX).len(), KEPT);
        let rows = recent.rows.lock().unwrap();
        // 499 rows that no overridden tenant wants are divided.
        let counts = [rows.classes.unknown.count, rows.classes.allowed.count];
        assert!((374..=375).contains(&counts[0]) && (624..=625).contains(&counts[1]), "{counts:?}");
        assert_eq!(rows.classes.unknown.tenants.len(), 1);
        assert!(rows.classes.allowed.tenants.len() <= 625);
    }
}
