//! What decisions go by: the newest good limits and the newest good edge config, read without a lock.
//!
//! Not here: how documents become limits, and what is decided by them. The invariant: what one push is decided by does not change under it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use limits::{ControlState, EdgeConfig, EdgeLimits, Mode, Snapshot, Tenant, TenantLimits, TenantView};
use limits_source::{EdgeConfigFeed, EdgeControl, LimitsFeed};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::rewrites::{Compiler, Rewrites};

/// A handle on the rules in force; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RulesInForce {
    limits: Arc<ArcSwap<LimitsInForce>>,
    edge: Arc<ArcSwap<EdgeConfig>>,
    distributors: Arc<AtomicU32>,
}

/// Limits, and what of their relabelling rules is compiled: swapped together, so that no push has the rules of other limits.
#[derive(Debug, Default)]
struct LimitsInForce {
    snapshot: Option<Arc<Snapshot>>,
    rewrites: Arc<Rewrites>,
}

/// How long the first limits may keep a server from being ready while their rules are compiled: one that is ready earlier lets pushes through that
/// it cannot count. Rules as people write them take milliseconds; for dearer ones a restart is not held up.
const FIRST_RULES: Duration = Duration::from_secs(1);

impl RulesInForce {
    /// No limits yet, an edge config that holds from the first push on, and one distributor.
    pub(crate) fn with_edge_config(edge: Arc<EdgeConfig>) -> Self {
        Self { limits: Arc::default(), edge: Arc::new(ArcSwap::new(edge)), distributors: Arc::new(AtomicU32::new(1)) }
    }

    /// Mimir has so many distributors from now on.
    pub(crate) fn put_distributors(&self, count: NonZeroU32) {
        self.distributors.store(count.get(), Ordering::Relaxed);
    }

    /// These limits hold from now on, with all of their rules: compiled here.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn put_limits(&self, snapshot: Arc<Snapshot>) {
        let rewrites = Arc::new(Rewrites::compiled(&snapshot));
        self.limits.store(Arc::new(LimitsInForce { snapshot: Some(snapshot), rewrites }));
    }

    fn put_rewrites(&self, rewrites: Arc<Rewrites>) {
        let snapshot = self.limits.load().snapshot.clone();
        self.limits.store(Arc::new(LimitsInForce { snapshot, rewrites }));
    }

    /// The rules of this moment.
    pub(crate) fn load(&self) -> Rules {
        let distributors = NonZeroU32::new(self.distributors.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN);
        let limits = self.limits.load();
        let (rewrites, limits) = (Arc::clone(&limits.rewrites), limits.snapshot.clone());
        Rules { limits, rewrites, edge: self.edge.load_full(), distributors }
    }

    /// Takes over the limits that `feed` has now, if it has any, and waits up to a second for their relabelling rules. What this gives compiles the
    /// rest.
    pub(crate) async fn take_over_first(&self, feed: &LimitsFeed) -> Compiler {
        let mut compiler = Compiler::default();
        let state = feed.states.borrow().clone();
        self.take_over(&state, &mut compiler).await;
        compiler
    }

    /// Takes over the limits that `feed` holds now and each change, until `stop` is cancelled or the source ends; calls `changed` after each.
    /// Their relabelling rules are compiled behind them.
    pub(crate) async fn follow_limits(
        self,
        feed: LimitsFeed,
        mut compiler: Compiler,
        stop: CancellationToken,
        changed: impl Fn(&ControlState),
    ) {
        let mut states = feed.states;
        let follow = async {
            loop {
                let state = states.borrow_and_update().clone();
                self.take_over(&state, &mut compiler).await;
                changed(&state);
                loop {
                    tokio::select! {
                        change = states.changed() => if change.is_err() { return } else { break },
                        rewrites = compiler.next() => self.put_rewrites(rewrites),
                    }
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }

    async fn take_over(&self, state: &ControlState, compiler: &mut Compiler) {
        let before = self.limits.load_full();
        let Some(snapshot) = &state.limits else { return };
        if before.snapshot.as_ref().is_some_and(|before| Arc::ptr_eq(before, snapshot)) {
            return;
        }
        let rewrites = compiler.begin(Arc::clone(snapshot), Arc::clone(&before.rewrites)).await;
        self.limits.store(Arc::new(LimitsInForce { snapshot: Some(Arc::clone(snapshot)), rewrites }));
        if before.snapshot.is_none()
            && let Ok(Some(rewrites)) = timeout(FIRST_RULES, compiler.finished()).await
        {
            self.put_rewrites(rewrites);
        }
    }

    /// Takes over each count of distributors.
    pub(crate) async fn follow_distributors(
        self,
        counts: watch::Receiver<Option<NonZeroU32>>,
        stop: CancellationToken,
    ) {
        follow(counts, stop, |count| {
            if let Some(count) = *count {
                self.put_distributors(count);
            }
        })
        .await;
    }

    /// The same with the edge config.
    pub(crate) async fn follow_edge_config(
        self,
        feed: EdgeConfigFeed,
        stop: CancellationToken,
        changed: impl Fn(&EdgeControl),
    ) {
        follow(feed.states, stop, |state| {
            self.edge.store(Arc::clone(&state.config));
            changed(state);
        })
        .await;
    }
}

async fn follow<T: Clone>(mut states: watch::Receiver<T>, stop: CancellationToken, take_over: impl Fn(&T)) {
    loop {
        let state = states.borrow_and_update().clone();
        take_over(&state);
        tokio::select! {
            () = stop.cancelled() => return,
            change = states.changed() => if change.is_err() { return },
        }
    }
}

/// The rules of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// None before the first good limits.
    pub limits: Option<Arc<Snapshot>>,
    pub rewrites: Arc<Rewrites>,
    pub edge: Arc<EdgeConfig>,
    /// Mimir's distributors, each of which has buckets of its own.
    pub distributors: NonZeroU32,
}

impl Rules {
    /// What holds for a push of which no tenant is known.
    pub(crate) fn mode_without_tenant(&self) -> Mode {
        self.edge.default_policy().mode
    }

    /// What holds for a tenant without an override; Mimir's own defaults before the first good limits.
    pub(crate) fn default_limits(&self) -> &TenantLimits {
        static BUILT_IN: LazyLock<TenantLimits> = LazyLock::new(TenantLimits::default);
        self.limits.as_ref().map_or_else(|| &*BUILT_IN, |limits| &limits.defaults().limits)
    }

    /// The mode of a tenant; of `None`, that of a push of which no tenant is known.
    pub(crate) fn mode_of(&self, tenant: Option<&Tenant<'_>>) -> Mode {
        tenant.map_or_else(|| self.mode_without_tenant(), |tenant| self.for_tenant(tenant).mode)
    }

    pub(crate) fn for_tenant(&self, tenant: &Tenant<'_>) -> TenantRules<'_> {
        let policy = self.edge.for_tenant(tenant);
        let limits = self.limits.as_ref().map(|limits| limits.for_tenant(tenant));
        let never_good = limits.as_ref().is_some_and(|limits| limits.tenant.mode == Mode::Shadow);
        let mode = if policy.mode == Mode::Enforce && never_good { Mode::Shadow } else { policy.mode };
        TenantRules { mode, edge: policy.limits, limits, rewrites: &self.rewrites, distributors: self.distributors }
    }
}

/// What holds for a push of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct TenantRules<'r> {
    /// The edge config's mode; shadow instead of enforce while the tenant's limits have never been good.
    pub mode: Mode,
    pub edge: EdgeLimits,
    /// None before the first good limits.
    pub limits: Option<TenantView<'r>>,
    pub rewrites: &'r Rewrites,
    pub distributors: NonZeroU32,
}
