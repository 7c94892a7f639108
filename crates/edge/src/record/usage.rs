//! What tenants send, by the second, denied or not: for alerts before the first denial, and for previews of other limits.
//!
//! A tenant has a history of its own while it holds one of a fixed number of places; all others are one, [`OTHER`]. Half of the places are for tenants
//! with an override. While there are too few, the tenants of the same kind that send least lose theirs, so that those that send most get one in time.

mod at_scrape;

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::usage::{History, Interval, Usage, Window};
use dashmap::{DashMap, Entry};
use enforce::BucketOwner;
use tokio::time::{MissedTickBehavior, interval_at};

use super::Recorder;
use super::room::Places;
use super::tenants::OTHER;

/// Each takes at most 50 KB.
const PLACES: usize = 1_000;
/// Of those, places for tenants without an override.
const PLACES_WITHOUT_OVERRIDE: usize = 500;
/// How many lose their place at once where there are too few.
const DISPLACED: usize = PLACES / 20;
/// How often tenants lose their place to others.
const DISPLACE_EVERY: Duration = Duration::from_secs(60);
/// Without a denial for so long, the next one begins a new series of denials.
const DENIALS_END_AFTER: Duration = Duration::from_secs(300);
/// From so many denials on, in a quarter of an hour, a client that retries has retried one.
const REFUSALS_TO_RETRY: u32 = 10;

/// The usage of all tenants, for use by many threads at once.
pub struct TenantUsage {
    places: DashMap<Box<str>, Place>,
    other: Place,
    /// Of which tenants with an override are preferred.
    room: Places,
    /// Whether a tenant with an override found no place since the last eviction.
    overridden_overflowed: AtomicBool,
    /// The same for tenants without an override.
    others_overflowed: AtomicBool,
    displaced: Mutex<Option<Instant>>,
}

/// The usage of one tenant, or of all without a place.
#[derive(Clone, Debug)]
pub struct UsageRow {
    /// The bare tenant, or `<other>`.
    pub tenant: String,
    /// The last 60 seconds, or fewer of a new tenant.
    pub minute: Interval,
    /// The last 15 minutes.
    pub quarter_hour: Interval,
    /// Pushes since the last one that was not refused.
    pub refused_in_a_row: u64,
    /// When the first of them was refused.
    pub refused_since: Option<SystemTime>,
    /// When its denials began, also those that were only counted and however many pushes passed between them; nothing if there was none for five minutes.
    pub denied_since: Option<SystemTime>,
    /// Whether it was refused often in the last 15 minutes, and no client of it retried a push: refused samples are lost.
    pub never_retries: bool,
}

#[derive(Default)]
struct Place {
    has_override: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The second that is not over.
    open: Usage,
    history: History,
    refused_in_a_row: u64,
    refused_since: Option<SystemTime>,
    denials: Option<Denials>,
}

/// Denials without a pause of [`DENIALS_END_AFTER`].
#[derive(Clone, Copy)]
struct Denials {
    began: SystemTime,
    last: Instant,
}

impl Default for TenantUsage {
    fn default() -> Self {
        Self {
            places: DashMap::new(),
            other: Place::default(),
            room: Places::new(PLACES, PLACES_WITHOUT_OVERRIDE),
            overridden_overflowed: AtomicBool::new(false),
            others_overflowed: AtomicBool::new(false),
            displaced: Mutex::new(None),
        }
    }
}

impl TenantUsage {
    /// Adds a push of the bare tenant.
    pub(super) fn record(&self, owner: &BucketOwner<'_>, push: &Usage) {
        if let Some(place) = self.places.get(owner.tenant.id()) {
            return place.record(push);
        }
        if !self.room.reserve(owner.has_override) {
            let overflowed = if owner.has_override { &self.overridden_overflowed } else { &self.others_overflowed };
            if !overflowed.load(Ordering::Relaxed) {
                overflowed.store(true, Ordering::Relaxed);
            }
            return self.other.record(push);
        }
        match self.places.entry(owner.tenant.id().into()) {
            Entry::Occupied(place) => {
                self.room.release(owner.has_override);
                place.get().record(push);
            }
            Entry::Vacant(vacant) => {
                let place = Place { has_override: owner.has_override, ..Place::default() };
                vacant.insert(place).record(push);
            }
        }
    }

    /// Closes the second that has just ended, for all tenants.
    fn close_second(&self) {
        self.places.iter().for_each(|place| place.lock().close_second());
        self.other.lock().close_second();
    }

    /// Removes tenants that have sent nothing for two hours, and at most once a minute those that send least while others find no place.
    pub(super) fn evict_idle(&self, now: Instant) {
        self.retain(|_, state| !state.history.is_empty() || state.open != Usage::default());
        let mut displaced = self.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        if displaced.is_some_and(|last| now.saturating_duration_since(last) < DISPLACE_EVERY) {
            return;
        }
        let overflowed = [&self.overridden_overflowed, &self.others_overflowed];
        let [overridden, others] = overflowed.map(|it| it.swap(false, Ordering::Relaxed));
        if overridden || others {
            *displaced = Some(now);
            self.displace(overridden);
        }
    }

    /// Removes the tenants that send least: of those without an override, and only for a tenant that has one also of those with one.
    fn displace(&self, overridden: bool) {
        let mut ranks: Vec<_> =
            self.places.iter().map(|place| place.rank()).filter(|rank| overridden || !rank.0).collect();
        ranks.sort_unstable();
        let Some(last) = ranks.get(DISPLACED.min(ranks.len()).saturating_sub(1)).copied() else { return };
        let mut left = DISPLACED;
        self.retain(|has_override, state| {
            let displaced = left > 0 && (overridden || !has_override) && state.rank(has_override) <= last;
            left -= usize::from(displaced);
            !displaced
        });
    }

    fn retain(&self, mut keep: impl FnMut(bool, &State) -> bool) {
        self.places.retain(|_, place| {
            let kept = keep(place.has_override, &place.lock());
            if !kept {
                self.room.release(place.has_override);
            }
            kept
        });
    }

    /// All tenants with a place, those with most items in the last minute first, and then the sum of the others.
    #[must_use]
    pub fn rows(&self) -> Vec<UsageRow> {
        let mut rows = self.unsorted_rows();
        // A tenant without a place has no items of its own to be sorted by.
        rows.sort_by_cached_key(|row| (row.tenant == OTHER, Reverse(row.minute.total.items), row.tenant.clone()));
        rows
    }

    fn unsorted_rows(&self) -> Vec<UsageRow> {
        let of_others = std::iter::once_with(|| self.other.row(OTHER));
        self.places.iter().map(|place| place.row(place.key())).chain(of_others).collect()
    }

    /// The usage of a bare tenant, or of `<other>`.
    #[must_use]
    pub fn row(&self, tenant: &str) -> Option<UsageRow> {
        self.with_place(tenant, |place| place.row(tenant))
    }

    /// All that is kept of a bare tenant, or of `<other>`, from the oldest on.
    #[must_use]
    pub fn history(&self, tenant: &str) -> Option<Vec<Interval>> {
        self.with_place(tenant, |place| place.lock().history.intervals().collect())
    }

    fn with_place<T>(&self, tenant: &str, read: impl FnOnce(&Place) -> T) -> Option<T> {
        if tenant == OTHER {
            return Some(read(&self.other));
        }
        self.places.get(tenant).map(|place| read(&place))
    }
}

impl Place {
    /// A panic under the lock leaves counts, which are whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rank(&self) -> Rank {
        self.lock().rank(self.has_override)
    }

    fn record(&self, push: &Usage) {
        let mut state = self.lock();
        state.open.add(push);
        if push.denied > 0 {
            state.denied(Instant::now());
        }
        if push.refused > 0 {
            state.refused_in_a_row = state.refused_in_a_row.saturating_add(push.refused.into());
            state.refused_since.get_or_insert_with(SystemTime::now);
        } else if push.requests > 0 {
            (state.refused_in_a_row, state.refused_since) = (0, None);
        }
    }

    fn row(&self, tenant: &str) -> UsageRow {
        let state = self.lock();
        let quarter_hour = state.history.over(Window::QuarterHour);
        UsageRow {
            tenant: tenant.to_owned(),
            minute: state.history.over(Window::Minute),
            quarter_hour,
            refused_in_a_row: state.refused_in_a_row,
            refused_since: state.refused_since,
            denied_since: state.denials_at(Instant::now()).map(|denials| denials.began),
            never_retries: quarter_hour.total.refused >= REFUSALS_TO_RETRY && quarter_hour.total.retries == 0,
        }
    }
}

/// Which tenant loses its place first: without an override, not refused, with the fewest items a second, in thousandths.
type Rank = (bool, bool, u64);

impl State {
    fn rank(&self, has_override: bool) -> Rank {
        let recent = self.history.over(Window::QuarterHour);
        (has_override, recent.total.refused > 0, (recent.items_per_second() * 1_000.0) as u64)
    }

    fn denied(&mut self, now: Instant) {
        let began = self.denials_at(now).map_or_else(SystemTime::now, |denials| denials.began);
        self.denials = Some(Denials { began, last: now });
    }

    /// The denials that have not ended.
    fn denials_at(&self, now: Instant) -> Option<Denials> {
        self.denials.filter(|denials| now.saturating_duration_since(denials.last) < DENIALS_END_AFTER)
    }

    fn close_second(&mut self) {
        let second = std::mem::take(&mut self.open);
        self.history.push(second);
    }
}

/// Closes each second of the usage of all tenants. Never returns: a shell spawns it once for each recorder.
pub async fn close_seconds(recorder: Recorder) {
    const SECOND: Duration = Duration::from_secs(1);
    let mut ticks = interval_at(tokio::time::Instant::now() + SECOND, SECOND);
    // A late tick is followed by those that were missed: the seconds stay as many as there were.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        recorder.usage().close_second();
    }
}

#[cfg(test)]
mod tests;
