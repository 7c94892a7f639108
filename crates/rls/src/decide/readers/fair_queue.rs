//! Which body is read next: fair queueing by tenant.
//!
//! Each tenant has a lane with what it waits for, and a start tag, which grows by the time that its reads took. The lane with the
//! lowest tag is next (start-time fair queueing; Goyal, Vin and Cheng, 1996). So a tenant whose bodies are dear is served less often, and
//! waits for itself; what a push waits for others is one read of each tenant that waits, at the most.
//!
//! Invariants: no tenant has more reads under way than `most_of_one`, so a core is left for the others; a lane that was idle gains no
//! credit, and one that took long is not forgiven while others wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Lanes that only remember what they took are looked through when there are so many.
const SWEEP_AT: usize = 1024;

#[derive(Debug)]
pub(super) struct FairQueue<J> {
    lanes: HashMap<Arc<str>, Lane<J>>,
    /// Lanes that have something to read and may have one more under way, by start tag.
    eligible: BTreeSet<(Duration, Arc<str>)>,
    /// The start tag of the read that was begun last; the highest of all tags once nothing is left to do.
    clock: Duration,
    /// The highest of all tags.
    latest: Duration,
    /// Jobs that wait or are under way.
    jobs: usize,
    most_of_one: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Lane<J> {
    waiting: VecDeque<J>,
    under_way: usize,
    start: Duration,
}

impl<J> FairQueue<J> {
    pub(super) fn new(most_of_one: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            eligible: BTreeSet::new(),
            clock: Duration::ZERO,
            latest: Duration::ZERO,
            jobs: 0,
            most_of_one: most_of_one.max(1),
            sweep_at: SWEEP_AT,
        }
    }

    /// Adds a job to the end of its tenant's lane.
    pub(super) fn push(&mut self, tenant: &str, job: J) {
        self.sweep();
        let key = match self.lanes.get_key_value(tenant) {
            Some((key, _)) => Arc::clone(key),
            None => tenant.into(),
        };
        let clock = self.clock;
        let lane = self.lanes.entry(Arc::clone(&key)).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            under_way: 0,
            start: clock,
        });
        if lane.waiting.is_empty() && lane.under_way == 0 {
            lane.start = lane.start.max(clock);
        }
        lane.waiting.push_back(job);
        self.jobs += 1;
        if lane.under_way < self.most_of_one {
            self.eligible.insert((lane.start, key));
        }
    }

    /// The job whose turn it is, with its tenant, if it `may_start`; it is under way until [`FairQueue::done`].
    pub(super) fn next(&mut self, may_start: impl FnOnce(&J) -> bool) -> Option<(Arc<str>, J)> {
        let (start, key) = self.eligible.first().cloned()?;
        let lane = self.lanes.get_mut(&key)?;
        let job = lane.waiting.pop_front_if(|job| may_start(job))?;
        lane.under_way += 1;
        self.clock = self.clock.max(start);
        if lane.waiting.is_empty() || lane.under_way >= self.most_of_one {
            self.eligible.remove(&(start, Arc::clone(&key)));
        }
        Some((key, job))
    }

    /// Whether a job waits for its turn.
    pub(super) fn has_waiting(&self) -> bool {
        !self.eligible.is_empty()
    }

    /// A job of the tenant is done, and took so long.
    pub(super) fn done(&mut self, tenant: &Arc<str>, took: Duration) {
        let Some(lane) = self.lanes.get_mut(tenant) else { return };
        self.eligible.remove(&(lane.start, Arc::clone(tenant)));
        lane.under_way = lane.under_way.saturating_sub(1);
        lane.start += took;
        self.latest = self.latest.max(lane.start);
        self.jobs = self.jobs.saturating_sub(1);
        if !lane.waiting.is_empty() && lane.under_way < self.most_of_one {
            self.eligible.insert((lane.start, Arc::clone(tenant)));
        }
        if self.jobs == 0 {
            self.clock = self.latest;
        }
    }

    /// Forgets lanes that neither hold anything nor took more than others; now and then, so that it costs little for each push.
    fn sweep(&mut self) {
        if self.lanes.len() < self.sweep_at {
            return;
        }
        let clock = self.clock;
        self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.under_way > 0 || lane.start > clock);
        self.sweep_at = SWEEP_AT.max(2 * self.lanes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Reads everything one after the other; each job is how long it takes. The order of tenants.
    fn order(queue: &mut FairQueue<u64>) -> String {
        let mut order = String::new();
        while let Some((tenant, took)) = queue.next(|_| true) {
            order.push_str(&tenant);
            queue.done(&tenant, millis(took));
        }
        order
    }

    #[test]
    fn a_tenant_waits_for_its_own_dear_reads_and_others_for_one_of_them() {
        let mut queue = FairQueue::new(1);
        for _ in 0..3 {
            queue.push("d", 500);
        }
        for _ in 0..5 {
            queue.push("n", 10);
        }
        assert_eq!(order(&mut queue), "dnnnnndd");
    }

    #[test]
    fn equal_reads_take_turns() {
        let mut queue = FairQueue::new(1);
        for tenant in ["a", "a", "a", "b", "b", "b", "c"] {
            queue.push(tenant, 10);
        }
        assert_eq!(order(&mut queue), "abcabab");
    }

    #[test]
    fn a_lane_that_was_idle_gains_no_credit_and_one_that_took_long_is_not_forgiven_while_others_wait() {
        let mut queue = FairQueue::new(1);
        queue.push("old", 1);
        assert_eq!(order(&mut queue), "old");
        for _ in 0..4 {
            queue.push("b", 100);
        }
        for _ in 0..3 {
            let (tenant, took) = queue.next(|_| true).unwrap();
            queue.done(&tenant, millis(took));
        }
        queue.push("old", 100);
        queue.push("old", 100);
        // b's third read began at its 200, and old begins there; b goes on at its 300.
        assert_eq!(order(&mut queue), "oldbold");
    }

    #[test]
    fn no_tenant_has_more_under_way_than_it_may() {
        let mut queue = FairQueue::new(2);
        for _ in 0..4 {
            queue.push("a", 10);
        }
        queue.push("b", 10);
        let mut begin = || queue.next(|_| true).map(|(tenant, _)| tenant);
        assert_eq!([begin().as_deref(), begin().as_deref(), begin().as_deref()], [Some("a"), Some("a"), Some("b")]);
        assert_eq!(begin(), None);
        queue.done(&"a".into(), millis(10));
        assert!(queue.next(|_| true).is_some());
    }

    #[test]
    fn what_may_not_start_yet_keeps_its_turn() {
        let mut queue = FairQueue::new(1);
        queue.push("large", 1000);
        queue.push("small", 1);
        assert!(queue.next(|job| *job < 10).is_none());
        assert!(queue.has_waiting());
        assert_eq!(queue.next(|_| true).map(|(_, job)| job), Some(1000));
        assert_eq!(queue.next(|job| *job < 10).map(|(_, job)| job), Some(1));
        assert!(!queue.has_waiting());
    }

    #[test]
    fn lanes_of_tenants_that_come_and_go_are_forgotten() {
        let mut queue = FairQueue::new(1);
        for number in 0..100 * SWEEP_AT as u64 {
            queue.push(&format!("t{number}"), 1);
            order(&mut queue);
        }
        assert!(queue.lanes.len() <= 2 * SWEEP_AT, "{}", queue.lanes.len());
    }
}
