//! Decisions counted by tenant, with a bounded number of series.
//!
//! A tenant has series of its own while it holds one of a fixed number of places; all others are counted under [`OTHER`]. Half of the
//! places are for tenants with a denial, so that those find one even where thousands of others push. Each decision is counted in exactly one series.
//!
//! A tenant that loses its place and comes back starts again at 0, which Prometheus handles as a counter reset.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::{DashMap, Entry};
use prometheus::{IntCounter, IntCounterVec, Registry, register_int_counter_vec_with_registry};

/// The label of all tenants without a place. No tenant has this name: `<` is not valid in one.
const OTHER: &str = "<other>";
const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// With the longest tenants the series take less than half a megabyte of `/metrics`.
const PLACES: usize = 1_000;
/// Of those, places for tenants without a denial.
const PLACES_WITHOUT_DENIAL: usize = 500;
/// The longest time that a tenant keeps its place without a decision.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// What each of its decisions adds to that time: invented tenants with one denial each must not hold places for long.
const IDLE_PER_DECISION: Duration = Duration::from_secs(2 * 60);

/// `rls_tenant_decisions_total{tenant,decision}`.
pub(crate) struct TenantMetrics {
    series: IntCounterVec,
    other: Counters,
    places: DashMap<Box<str>, Place>,
    taken: Bounded,
    never_denied: Bounded,
}

impl TenantMetrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help =
            "Pushes of up to 1,000 tenants; tenant <other> is the sum of the others. Denials in shadow count as deny";
        let (name, labels) = ("rls_tenant_decisions_total", &["tenant", "decision"]);
        let series = register_int_counter_vec_with_registry!(name, help, labels, registry)?;
        let other = Counters::new(&series, OTHER)?;
        let (taken, never_denied) = (Bounded::new(PLACES), Bounded::new(PLACES_WITHOUT_DENIAL));
        Ok(Self { series, other, places: DashMap::new(), taken, never_denied })
    }

    /// Counts a decision for a bare tenant.
    pub(crate) fn record(&self, tenant: &str, denied: bool) {
        if let Some(place) = self.places.get(tenant) {
            return self.count(&place, denied);
        }
        if !self.reserve(denied) {
            return self.other.count(denied);
        }
        match self.places.entry(tenant.into()) {
            Entry::Occupied(place) => {
                self.release(denied);
                self.count(place.get(), denied);
            }
            Entry::Vacant(vacant) => match Counters::new(&self.series, tenant) {
                Ok(counters) => self.count(&vacant.insert(Place::new(counters, denied)), denied),
                Err(_) => {
                    self.release(denied);
                    self.other.count(denied);
                }
            },
        }
    }

    /// Removes tenants without a decision for two minutes for each that they ever had, and for at most 15 minutes. To be called about once a
    /// minute: a tenant counts as busy at the time of the first call after its decision.
    pub(crate) fn evict_idle(&self, now: Instant) {
        // Series are removed under the lock of their place, or a tenant that comes back meanwhile would count in removed ones.
        self.places.retain(|tenant, place| {
            let keep = !place.is_idle(now);
            if !keep {
                self.release(place.was_denied.load(Ordering::Relaxed));
                for decision in [ALLOW, DENY] {
                    // The only error is that there is no such series.
                    let _ = self.series.remove_label_values(&[tenant, decision]);
                }
            }
            keep
        });
    }

    fn count(&self, place: &Place, denied: bool) {
        if !place.busy.load(Ordering::Relaxed) {
            place.busy.store(true, Ordering::Relaxed);
        }
        if denied && !place.was_denied.load(Ordering::Relaxed) && !place.was_denied.swap(true, Ordering::Relaxed) {
            self.never_denied.release();
        }
        place.counters.count(denied);
    }

    /// Reserves a place for a tenant with such a decision.
    fn reserve(&self, denied: bool) -> bool {
        if !denied && !self.never_denied.reserve() {
            return false;
        }
        let reserved = self.taken.reserve();
        if !reserved && !denied {
            self.never_denied.release();
        }
        reserved
    }

    fn release(&self, denied: bool) {
        self.taken.release();
        if !denied {
            self.never_denied.release();
        }
    }
}

/// The two series of one tenant; both exist from the start, so that a rate over them never misses the first event.
struct Counters {
    allowed: IntCounter,
    denied: IntCounter,
}

impl Counters {
    fn new(series: &IntCounterVec, tenant: &str) -> prometheus::Result<Self> {
        let counter = |decision| series.get_metric_with_label_values(&[tenant, decision]);
        Ok(Self { allowed: counter(ALLOW)?, denied: counter(DENY)? })
    }

    fn count(&self, denied: bool) {
        if denied { &self.denied } else { &self.allowed }.inc();
    }

    fn decisions(&self) -> u64 {
        self.allowed.get().saturating_add(self.denied.get())
    }
}

struct Place {
    counters: Counters,
    was_denied: AtomicBool,
    /// Whether there was a decision since the last eviction.
    busy: AtomicBool,
    /// The last eviction that found it busy.
    last_busy: Option<Instant>,
}

impl Place {
    fn new(counters: Counters, denied: bool) -> Self {
        Self { counters, was_denied: AtomicBool::new(denied), busy: AtomicBool::new(true), last_busy: None }
    }

    fn is_idle(&mut self, now: Instant) -> bool {
        if std::mem::take(self.busy.get_mut()) {
            self.last_busy = Some(now);
        }
        let decisions = u32::try_from(self.counters.decisions()).unwrap_or(u32::MAX);
        let timeout = IDLE_PER_DECISION.saturating_mul(decisions).min(IDLE);
        self.last_busy.is_some_and(|last| now.saturating_duration_since(last) >= timeout)
    }
}

/// A counter with an upper bound.
struct Bounded {
    taken: AtomicUsize,
    most: usize,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }

    fn reserve(&self) -> bool {
        let one_more = |taken: usize| Some(taken.saturating_add(1)).filter(|&taken| taken <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn release(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
