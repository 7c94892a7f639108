//! The recent denials, for the admin API.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::DenialRecord;

/// How many are kept; with the longest texts they take less than 2 MB.
const KEPT: usize = 1_000;

/// The recent denials in the order of their sequence numbers, oldest first.
pub(super) struct Recent {
    ring: Mutex<Ring>,
}

struct Ring {
    denials: VecDeque<Arc<DenialRecord>>,
    next: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { ring: Mutex::new(Ring { denials: VecDeque::with_capacity(KEPT), next: 1 }) }
    }
}

impl Recent {
    /// Adds a denial with the next sequence number; the oldest one is dropped.
    pub(super) fn add(&self, record: DenialRecord) -> Arc<DenialRecord> {
        let mut record = Arc::new(record);
        let oldest;
        {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(record) = Arc::get_mut(&mut record) {
                record.sequence = ring.next;
            }
            ring.next = ring.next.saturating_add(1);
            oldest = if ring.denials.len() >= KEPT { ring.denials.pop_front() } else { None };
            ring.denials.push_back(Arc::clone(&record));
        }
        // Freed outside of the lock, which every denial takes.
        drop(oldest);
        record
    }

    /// At most `limit` denials, newest first, with sequence numbers below `after`, of `tenant` with or without metadata.
    pub(super) fn page(&self, after: Option<u64>, tenant: Option<&str>, limit: usize) -> Vec<Arc<DenialRecord>> {
        let mut page = Vec::with_capacity(limit.min(KEPT));
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let end = after.map_or(ring.denials.len(), |after| ring.denials.partition_point(|one| one.sequence < after));
        let matching = ring.denials.range(..end).rev().filter(|one| {
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
            recent.add(denied_push(tenant));
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
            recent.add(denied_push("a"));
        }
        let page = recent.page(None, None, usize::MAX);
        assert_eq!(page.len(), KEPT);
        assert_eq!(page.last().map(|one| one.sequence), Some(11));
        recent.add(denied_push("a"));
        check(&recent, (Some(1_009), None, 2), &[1_008, 1_007]);
        check(&recent, (Some(13), None, 2), &[12]);
    }

    #[test]
    fn concurrent_denials_are_kept_in_number_order() {
        let recent = Recent::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| drop(recent.add(denied_push("a")))));
            }
        });
        check(&recent, (None, None, 400), &(1..=400).rev().collect::<Vec<_>>());
    }
}
