//! The control state: one immutable value by which pushes are decided, replaced as a whole.
//!
//! Decisions load it from a [`ControlHandle`], without a lock. Only the [`ControlWriter`] replaces it; a handle has one writer, whose methods take
//! `&mut self`, so changes never interleave. A push loads the value once, so it never sees limits of one document with the relabelling rules, the edge
//! config or the number of distributors of another time. The value only refers to the elections, which pushes change too. A list of Mimir's HA
//! tracker is applied to them pair by pair, so a push of several pairs may meet some of the new list and others of the last one.
//!
//! Not here: parsing of limits, and decisions.

mod election;
mod relabelling;
mod superseded;
mod tracker;

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use enforce::{Elections, UnixMillis};
use limits::{EdgeConfig, EdgeLimits, Mode, Snapshot, Tenant, TenantLimits, TenantView};
use tasks::blocking;
use tokio::time::{Instant, timeout};

pub(crate) use election::{Candidates, ElectionOutcome, PushElection};
pub use relabelling::{RelabelUnavailable, Relabelling};
pub use tracker::{HaTracker, TrackerList};

use relabelling::Compiler;
use superseded::Superseded;
use tracker::{ListOutcome, Lists};

/// What decides pushes at one moment.
#[derive(Clone, Debug)]
pub struct ControlState {
    /// `None` before the first good limits.
    pub limits: Option<Arc<Snapshot>>,
    /// The relabelling rules of these limits, as far as they are compiled.
    pub relabelling: Arc<Relabelling>,
    /// Modes, and limits that only the edge has.
    pub edge: Arc<EdgeConfig>,
    /// The number of Mimir's distributors, each with buckets of its own.
    pub distributors: NonZeroU32,
    /// The state of Mimir's HA tracker.
    pub ha_tracker: HaTracker,
    /// The elections of all Prometheus pairs. Pushes change them, so all values share them.
    pub elections: Arc<Elections>,
}

impl ControlState {
    /// No limits yet, and one distributor.
    fn new(edge: Arc<EdgeConfig>, ha_tracker: HaTracker) -> Self {
        Self {
            limits: None,
            relabelling: Arc::default(),
            edge,
            distributors: NonZeroU32::MIN,
            ha_tracker,
            elections: Arc::default(),
        }
    }

    /// Evicts pairs that are idle at `now`, in Unix milliseconds.
    pub(crate) fn evict_idle_pairs(&self, now: i64) {
        self.elections.evict_idle(UnixMillis::new(now));
    }

    /// The mode of a push without a known tenant.
    #[must_use]
    pub fn mode_without_tenant(&self) -> Mode {
        self.edge.default_policy().mode
    }

    /// The limits of a tenant without an override; Mimir's own defaults before the first good limits.
    #[must_use]
    pub fn default_limits(&self) -> &TenantLimits {
        static BUILT_IN: LazyLock<TenantLimits> = LazyLock::new(TenantLimits::default);
        self.limits.as_ref().map_or_else(|| &*BUILT_IN, |limits| &limits.defaults().limits)
    }

    /// The settings of a tenant.
    #[must_use]
    pub fn for_tenant<'c>(&'c self, tenant: &Tenant<'c>) -> TenantSettings<'c> {
        let policy = self.edge.for_tenant(tenant);
        let limits = self.limits.as_ref().map(|limits| limits.for_tenant(tenant));
        let never_good = limits.as_ref().is_some_and(|limits| limits.tenant.mode == Mode::Shadow);
        let mode = if policy.mode == Mode::Enforce && never_good { Mode::Shadow } else { policy.mode };
        TenantSettings { control: self, tenant: *tenant, mode, edge: policy.limits, limits }
    }
}

/// The settings by which the pushes of one tenant are decided.
#[derive(Clone, Debug)]
pub struct TenantSettings<'c> {
    pub(crate) control: &'c ControlState,
    pub(crate) tenant: Tenant<'c>,
    /// The mode of the edge config; shadow instead of enforce while the tenant's limits have never been good.
    pub mode: Mode,
    /// The tenant's limits in the edge config, or the default ones.
    pub edge: EdgeLimits,
    /// `None` before the first good limits.
    pub limits: Option<TenantView<'c>>,
}

impl TenantSettings<'_> {
    /// Whether the tenant has an override.
    pub(crate) fn has_override(&self) -> bool {
        self.limits.as_ref().is_some_and(|limits| limits.has_override)
    }
}

/// Loads the current control state; cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    current: Arc<ArcSwap<ControlState>>,
}

impl ControlHandle {
    /// The current control state.
    #[must_use]
    pub fn load(&self) -> Arc<ControlState> {
        self.current.load_full()
    }
}

/// How long a server that starts waits for the rules of its first limits before it is ready: without them it cannot meter pushes. Usual rules take
/// milliseconds; more expensive ones do not hold up a restart.
const FIRST_RULES_TIMEOUT: Duration = Duration::from_secs(1);

/// Replaces the control state; one for each handle.
#[derive(Debug)]
pub struct ControlWriter {
    handle: ControlHandle,
    compiler: Compiler,
    lists: Lists,
    superseded: Superseded,
}

impl ControlWriter {
    /// A writer and its handle, without limits and with one distributor.
    #[must_use]
    pub fn new(edge: Arc<EdgeConfig>, ha_tracker: HaTracker) -> (Self, ControlHandle) {
        let handle = ControlHandle { current: Arc::new(ArcSwap::from_pointee(ControlState::new(edge, ha_tracker))) };
        let writer = Self {
            handle: handle.clone(),
            compiler: Compiler::default(),
            lists: Lists::default(),
            superseded: Superseded::default(),
        };
        (writer, handle)
    }

    /// The current control state.
    #[must_use]
    pub fn current(&self) -> Arc<ControlState> {
        self.handle.load()
    }

    fn replace(&self, change: impl FnOnce(&mut ControlState)) {
        let before = self.handle.load();
        let mut next = ControlState::clone(&before);
        change(&mut next);
        let next = Arc::new(next);
        self.handle.current.store(Arc::clone(&next));
        let ControlState { limits, relabelling, edge, .. } = &*before;
        if let Some(limits) = limits.as_ref().filter(|limits| !is_same(limits, next.limits.as_ref())) {
            self.superseded.add(limits.clone());
        }
        if !is_same(relabelling, Some(&next.relabelling)) {
            self.superseded.add(relabelling.clone());
        }
        if !is_same(edge, Some(&next.edge)) {
            self.superseded.add(edge.clone());
        }
    }

    /// Replaces the edge config.
    pub fn put_edge_config(&mut self, edge: Arc<EdgeConfig>) {
        self.replace(|next| next.edge = edge);
    }

    /// Replaces the number of Mimir's distributors.
    pub fn put_distributors(&mut self, distributors: NonZeroU32) {
        self.replace(|next| next.distributors = distributors);
    }

    /// Replaces the limits, with those of their relabelling rules that are compiled already; [`ControlWriter::compiled`] adds the rest. For
    /// the rules of the first limits this waits up to a second.
    pub async fn put_limits(&mut self, snapshot: Arc<Snapshot>) {
        let before = self.handle.load();
        if before.limits.as_ref().is_some_and(|before| Arc::ptr_eq(before, &snapshot)) {
            return;
        }
        let relabelling = self.compiler.begin(Arc::clone(&snapshot), Arc::clone(&before.relabelling)).await;
        self.replace(|next| (next.limits, next.relabelling) = (Some(snapshot), relabelling));
        if before.limits.is_none()
            && let Ok(Some(relabelling)) = timeout(FIRST_RULES_TIMEOUT, self.compiler.finished()).await
        {
            self.replace(|next| next.relabelling = relabelling);
        }
    }

    /// Waits for more compiled rules and adds them; never returns where nothing is being compiled.
    pub async fn compiled(&mut self) {
        let relabelling = self.compiler.next().await;
        self.replace(|next| next.relabelling = relabelling);
    }

    /// Sets whether an HA tracker is polled.
    pub fn put_tracker_polled(&mut self, is_polled: bool) {
        self.replace(|next| next.ha_tracker.is_polled = is_polled);
    }

    /// Applies a list of Mimir's HA tracker: confirms the pairs that it names, and drops those that it no longer names. A stale list is not applied, and
    /// the one before is then stale too.
    pub async fn put_list(&mut self, list: TrackerList) {
        let (mut lists, elections) = (std::mem::take(&mut self.lists), Arc::clone(&self.handle.load().elections));
        // A list can have some hundred thousand pairs.
        let applied = tokio::task::spawn_blocking(move || (lists.apply(&list, &elections), lists)).await;
        match applied {
            Ok((outcome, lists)) => {
                self.lists = lists;
                match outcome {
                    ListOutcome::Applied { fresh_until } => self.set_fresh_until(Some(fresh_until)),
                    ListOutcome::Ignored => {}
                    ListOutcome::Stale { since: Some(since) } => self.set_fresh_until(Some(since)),
                    ListOutcome::Stale { since: None } => self.expire_list().await,
                }
            }
            // A panic, which is logged. The list may be applied in part, and nothing would expire it.
            Err(_) => self.expire_list().await,
        }
    }

    /// When [`ControlWriter::expire_list`] is to be called: when the list in force becomes stale. `None` without a list.
    #[must_use]
    pub fn list_expires(&self) -> Option<Instant> {
        self.handle.load().ha_tracker.fresh_until
    }

    fn set_fresh_until(&self, fresh_until: Option<Instant>) {
        self.replace(|next| next.ha_tracker.fresh_until = fresh_until);
    }

    /// Revokes the entries of a stale list: the elections here continue from it. Pushes have confirmed nothing by the list since it became stale.
    pub async fn expire_list(&mut self) {
        self.set_fresh_until(None);
        let elections = Arc::clone(&self.handle.load().elections);
        blocking(move || tracker::unconfirm_all(&elections)).await;
    }
}

fn is_same<T>(part: &Arc<T>, other: Option<&Arc<T>>) -> bool {
    other.is_some_and(|other| Arc::ptr_eq(part, other))
}

#[cfg(any(test, feature = "testing"))]
impl ControlWriter {
    /// Replaces the limits, and compiles all of their rules on this thread.
    pub fn put_limits_compiled(&mut self, snapshot: Arc<Snapshot>) {
        let relabelling = Arc::new(Relabelling::compiled(&snapshot));
        self.replace(|next| (next.limits, next.relabelling) = (Some(snapshot), relabelling));
    }
}
