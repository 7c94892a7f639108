//! Which body is decoded next: fair queueing by tenant.
//!
//! Each tenant has a lane of waiting jobs. A job's tag is the time at which it would end if its tenant had a fair share of one thread; the lane
//! with the lowest tag is next (self-clocked fair queueing; Golestani, 1994). The time of a job is estimated when it is queued, and corrected
//! when it has finished. So a tenant with expensive bodies is served less often, and waits for itself.
//!
//! Invariants: a tag never grows while its job waits, and the clock reaches it however many lanes are new; no tenant has more jobs running
//! than its cap, nor with more weight, so that something is left for the others.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// With this many lanes, those that are empty are swept.
const SWEEP_AT: usize = 1024;

/// What one tenant may have running.
#[derive(Clone, Copy, Debug)]
pub(super) struct TenantCap {
    pub jobs: usize,
    /// A single job may have more, if it runs alone.
    pub weight: usize,
}

/// What a job costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Its estimated duration.
    pub estimate: Duration,
    pub weight: usize,
}

/// A job that was started.
#[derive(Debug)]
pub(super) struct Started<J> {
    pub tenant: Arc<str>,
    pub cost: Cost,
    pub job: J,
}

/// When a job would end; of equal times, the job that came first is next.
type Tag = (Duration, u64);

#[derive(Debug)]
pub(super) struct FairQueue<J> {
    lanes: HashMap<Arc<str>, Lane<J>>,
    /// Lanes whose first job may start, by its tag.
    eligible: BTreeSet<(Tag, Arc<str>)>,
    /// The tag of the job that was started last.
    clock: Duration,
    /// The highest tag so far.
    latest: Duration,
    jobs: usize,
    arrivals: u64,
    cap: TenantCap,
    sweep_at: usize,
}

#[derive(Debug)]
struct Lane<J> {
    waiting: VecDeque<(u64, Cost, J)>,
    running: usize,
    weight: usize,
    /// When its started jobs would end.
    end: Duration,
    /// Its tag among the eligible lanes.
    tag: Option<Tag>,
}

impl<J> FairQueue<J> {
    pub(super) fn new(cap: TenantCap) -> Self {
        Self {
            lanes: HashMap::new(),
            eligible: BTreeSet::new(),
            clock: Duration::ZERO,
            latest: Duration::ZERO,
            jobs: 0,
            arrivals: 0,
            cap,
            sweep_at: SWEEP_AT,
        }
    }

    /// Adds a job to the end of its tenant's lane.
    pub(super) fn push(&mut self, tenant: &str, cost: Cost, job: J) {
        self.sweep();
        let key = match self.lanes.get_key_value(tenant) {
            Some((key, _)) => Arc::clone(key),
            None => tenant.into(),
        };
        let clock = self.clock;
        let new = || Lane { waiting: VecDeque::new(), running: 0, weight: 0, end: clock, tag: None };
        let lane = self.lanes.entry(Arc::clone(&key)).or_insert_with(new);
        if lane.waiting.is_empty() && lane.running == 0 {
            lane.end = lane.end.max(clock);
        }
        lane.waiting.push_back((self.arrivals, cost, job));
        self.arrivals += 1;
        self.jobs += 1;
        self.requeue(&key);
    }

    /// Starts the next job, if it `may_start`; it runs until [`FairQueue::finished`].
    pub(super) fn next(&mut self, may_start: impl FnOnce(&Cost, &J) -> bool) -> Option<Started<J>> {
        let ((end, _), tenant) = self.eligible.first().cloned()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let (_, cost, job) = lane.waiting.pop_front_if(|(_, cost, job)| may_start(cost, job))?;
        lane.running += 1;
        lane.weight = lane.weight.saturating_add(cost.weight);
        lane.end = end;
        self.clock = self.clock.max(end);
        self.latest = self.latest.max(end);
        self.requeue(&tenant);
        Some(Started { tenant, cost, job })
    }

    /// A job of the tenant has finished, and took this long.
    pub(super) fn finished(&mut self, tenant: &Arc<str>, cost: Cost, took: Duration) {
        let Some(lane) = self.lanes.get_mut(tenant) else { return };
        lane.running = lane.running.saturating_sub(1);
        lane.weight = lane.weight.saturating_sub(cost.weight);
        lane.end = (lane.end + took).saturating_sub(cost.estimate);
        self.latest = self.latest.max(lane.end);
        self.jobs = self.jobs.saturating_sub(1);
        self.requeue(tenant);
        if self.jobs == 0 {
            self.clock = self.latest;
        }
    }

    /// Whether a job is waiting that may start.
    pub(super) fn has_waiting(&self) -> bool {
        !self.eligible.is_empty()
    }

    /// Makes a lane eligible by the tag of its first job, unless that may not start.
    fn requeue(&mut self, tenant: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(tenant) else { return };
        if let Some(tag) = lane.tag.take() {
            self.eligible.remove(&(tag, Arc::clone(tenant)));
        }
        let Some((arrival, cost, _)) = lane.waiting.front() else { return };
        let fits = lane.weight.saturating_add(cost.weight) <= self.cap.weight;
        if lane.running == 0 || lane.running < self.cap.jobs && fits {
            let tag = (lane.end + cost.estimate, *arrival);
            lane.tag = Some(tag);
            self.eligible.insert((tag, Arc::clone(tenant)));
        }
    }

    /// Drops empty lanes that are not ahead of the clock; rarely, so that it costs little for each push.
    fn sweep(&mut self) {
        if self.lanes.len() < self.sweep_at {
            return;
        }
        let clock = self.clock;
        self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.running > 0 || lane.end > clock);
        self.sweep_at = SWEEP_AT.max(2 * self.lanes.len());
    }
}

#[cfg(test)]
mod tests;
