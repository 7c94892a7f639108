//! Decisions counted by tenant, and denials also by reason and mode, with a bounded number of series.
//!
//! A tenant has series of its own while it holds one of a fixed number of places; all others are counted under [`OTHER`]. Half of the
//! places are for tenants with a denial, so that those find one even where thousands of others push. Each decision is counted in exactly one series.
//!
//! A tenant that loses its place and comes back starts again at 0, which Prometheus handles as a counter reset.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::{DashMap, Entry};
use enforce::DenyReason;
use limits::Mode;
use prometheus::{IntCounter, IntCounterVec, Registry, register_int_counter_vec_with_registry};

use super::Decided;
use super::room::Places;
use crate::verdict::denial_occurs_in;

/// The label of all tenants without a place. No tenant has this name: `<` is not valid in one.
pub(super) const OTHER: &str = "<other>";
const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// With the longest tenants and one reason each, the series take less than a megabyte of `/metrics`, and half a megabyte more with each further reason.
const PLACES: usize = 1_000;
/// Of those, places for tenants without a denial.
const PLACES_WITHOUT_DENIAL: usize = 500;
/// The longest time that a tenant keeps its place without a decision.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// What each of its decisions adds to that time: invented tenants with one denial each must not hold places for long.
const IDLE_PER_DECISION: Duration = Duration::from_secs(2 * 60);

/// `rls_tenant_decisions_total{tenant,decision}`, and of denials `rls_tenant_denied_total` and `rls_tenant_denied_samples_total{tenant,reason,mode}`.
pub(crate) struct TenantMetrics {
    series: IntCounterVec,
    denied: Denied,
    other: Counters,
    denied_others: DeniedCounters,
    places: DashMap<Box<str>, Place>,
    /// Of which tenants with a denial are preferred.
    room: Places,
}

impl TenantMetrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help =
            "Pushes of up to 1,000 tenants; tenant <other> is the sum of the others. Denials in shadow count as deny";
        let (name, labels) = ("rls_tenant_decisions_total", &["tenant", "decision"]);
        let series = register_int_counter_vec_with_registry!(name, help, labels, registry)?;
        let other = Counters::new(&series, OTHER)?;
        let room = Places::new(PLACES, PLACES_WITHOUT_DENIAL);
        let (denied, denied_others) = (Denied::new(registry)?, DeniedCounters::default());
        Ok(Self { series, denied, other, denied_others, places: DashMap::new(), room })
    }

    /// Counts a decision for a bare tenant.
    pub(super) fn record(&self, tenant: &str, decided: Decided<'_>) {
        if let Some(place) = self.places.get(tenant) {
            return self.count(tenant, &place, decided);
        }
        let denied = decided.denial.is_some();
        if !self.room.reserve(denied) {
            return self.count_other(decided);
        }
        match self.places.entry(tenant.into()) {
            Entry::Occupied(place) => {
                self.room.release(denied);
                self.count(tenant, place.get(), decided);
            }
            Entry::Vacant(vacant) => match Counters::new(&self.series, tenant) {
                Ok(counters) => self.count(tenant, &vacant.insert(Place::new(counters, denied)), decided),
                Err(_) => {
                    self.room.release(denied);
                    self.count_other(decided);
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
                self.room.release(place.was_denied.load(Ordering::Relaxed));
                for decision in [ALLOW, DENY] {
                    // The only error is that there is no such series.
                    let _ = self.series.remove_label_values(&[tenant, decision]);
                }
                self.denied.remove(tenant);
            }
            keep
        });
    }

    fn count_other(&self, decided: Decided<'_>) {
        self.other.count(decided.denial.is_some());
        self.denied.count(OTHER, &self.denied_others, decided);
    }

    /// Under the lock of the place, so that no eviction removes the series meanwhile.
    fn count(&self, tenant: &str, place: &Place, decided: Decided<'_>) {
        let denied = decided.denial.is_some();
        if !place.busy.load(Ordering::Relaxed) {
            place.busy.store(true, Ordering::Relaxed);
        }
        if denied && !place.was_denied.load(Ordering::Relaxed) && !place.was_denied.swap(true, Ordering::Relaxed) {
            self.room.prefer();
        }
        place.counters.count(denied);
        self.denied.count(tenant, &place.denied, decided);
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

/// Denials by reason and mode. A series of a tenant begins with its first denial, as a tenant has few of the reasons; those of [`OTHER`] exist from the start.
struct Denied {
    pushes: IntCounterVec,
    samples: IntCounterVec,
}

impl Denied {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str| {
            register_int_counter_vec_with_registry!(name, help, &["tenant", "reason", "mode"], registry)
        };
        let denied = Self {
            pushes: counters(
                "rls_tenant_denied_total",
                "Denied pushes of the tenants of rls_tenant_decisions_total, by reason and mode",
            )?,
            samples: counters(
                "rls_tenant_denied_samples_total",
                "Samples and histograms in these pushes; those of a push that was denied before its body was decoded are not known",
            )?,
        };
        for (reason, mode) in Self::labels().filter(|(reason, mode)| denial_occurs_in(*reason, *mode)) {
            let labels = [OTHER, reason.as_str(), mode.as_str()];
            denied.pushes.with_label_values(&labels);
            denied.samples.with_label_values(&labels);
        }
        Ok(denied)
    }

    fn count(&self, tenant: &str, counters: &DeniedCounters, Decided { mode, samples, denial }: Decided<'_>) {
        let Some(denial) = denial else { return };
        let reason = denial.reason();
        let labels = [tenant, reason.as_str(), mode.as_str()];
        let series = || [&self.pushes, &self.samples].map(|of| of.with_label_values(&labels));
        if let Some([pushes, counted]) = counters.of(reason, mode, series) {
            pushes.inc();
            counted.inc_by(samples);
        }
    }

    fn labels() -> impl Iterator<Item = (DenyReason, Mode)> {
        DenyReason::ALL.into_iter().flat_map(|reason| Mode::ALL.map(|mode| (reason, mode)))
    }

    fn remove(&self, tenant: &str) {
        for (reason, mode) in Self::labels() {
            let labels = [tenant, reason.as_str(), mode.as_str()];
            // The only error is that there is no such series.
            let _ = self.pushes.remove_label_values(&labels);
            let _ = self.samples.remove_label_values(&labels);
        }
    }
}

/// How many pairs of a reason and a mode there are.
const PAIRS: usize = DenyReason::ALL.len() * Mode::ALL.len();

/// The series of a tenant's denials, of pushes and of samples. Each is looked up at its first denial, and the table is made then: most tenants have none.
#[derive(Default)]
struct DeniedCounters(OnceLock<Box<[OnceLock<[IntCounter; 2]>; PAIRS]>>);

impl DeniedCounters {
    fn of(&self, reason: DenyReason, mode: Mode, series: impl FnOnce() -> [IntCounter; 2]) -> Option<&[IntCounter; 2]> {
        let table = self.0.get_or_init(|| Box::new([const { OnceLock::new() }; PAIRS]));
        Some(table.get(reason as usize * Mode::ALL.len() + mode as usize)?.get_or_init(series))
    }
}

struct Place {
    counters: Counters,
    denied: DeniedCounters,
    was_denied: AtomicBool,
    /// Whether there was a decision since the last eviction.
    busy: AtomicBool,
    /// The last eviction that found it busy.
    last_busy: Option<Instant>,
}

impl Place {
    fn new(counters: Counters, denied: bool) -> Self {
        let was_denied = AtomicBool::new(denied);
        Self { counters, denied: DeniedCounters::default(), was_denied, busy: AtomicBool::new(true), last_busy: None }
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

#[cfg(test)]
mod tests;
