//! Everything from Prometheus to Mimir, and the source of the limits.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::{
    Cluster, Edge, EdgeBuilder, Mimir, OpenLoop, OverridesSync, Prometheus, RemoteWrite, Sender, Target, WatchedFile,
    until, until_some, until_within,
};
use tempfile::TempDir;

/// From one push to the next.
const EVERY: Duration = Duration::from_millis(20);
const SAMPLES: usize = 10;
/// Four of five pushes are within their limits, of which they take five sixths; a burst of 20 s lets what a fault held up pass at once.
fn sender(turn: u64) -> Sender {
    let (tenant, expected) = if turn % 5 == 4 { ("over", 429) } else { ("within", 200) };
    Sender { tenant: Cow::Borrowed(tenant), samples: SAMPLES, expected }
}

/// Mimir's Retry-After of up to 96 s by default, by which a Prometheus goes.
const CATCH_UP: Duration = Duration::from_secs(150);
const SERIES: usize = 20;
const PROMETHEUS: &str = "prometheus";
const SCRAPED: &str = "e2e_scrapes";

/// The limits, with a burst of one tenant by which a change is known.
pub(crate) fn limits(probe: u32) -> String {
    let rate = 4 * SAMPLES * 10;
    format!(
        "overrides:\n  within: {{ ingestion_rate: {}, ingestion_burst_size: {} }}\n  \
         over: {{ ingestion_rate: 0.001, ingestion_burst_size: 1 }}\n  \
         {PROMETHEUS}: {{ ingestion_rate: 10000, ingestion_burst_size: 200000 }}\n  \
         probe: {{ ingestion_burst_size: {probe} }}\n",
        rate * 12 / 10,
        rate * 20,
    )
}

/// A running stack. Its programs are gone when it is dropped.
pub(crate) struct Stack {
    pub(crate) edge: Edge,
    pub(crate) mimir: Mimir,
    pub(crate) control: Option<Control>,
    prometheus: Prometheus,
    write: RemoteWrite,
    _target: Target,
    _mimir_limits: WatchedFile,
    _folder: TempDir,
    /// Of what was scraped before it began to send a Prometheus sends nothing.
    sent_since: i64,
    next_push: u64,
    probe: u32,
}

/// Where limits come from if not from a file.
pub(crate) struct Control {
    pub(crate) cluster: Cluster,
    pub(crate) sync: OverridesSync,
}

impl Stack {
    /// With limits from a file.
    pub(crate) fn with_a_file() -> Self {
        Self::start(None, |edge| edge)
    }

    /// With limits from a ConfigMap, by way of overrides-sync.
    pub(crate) fn with_a_cluster() -> Self {
        let cluster = Cluster::start(&limits(1));
        let sync = cluster.sync("sync", &[]);
        let feed = sync.feed();
        Self::start(Some(Control { cluster, sync }), move |edge| edge.limits_from(&feed))
    }

    /// With an edge that is built otherwise.
    pub(crate) fn start(control: Option<Control>, build: impl FnOnce(EdgeBuilder) -> EdgeBuilder) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mimir_limits = WatchedFile::of(&limits(1));
        let mimir = Mimir::start_with(&folder.path().join("mimir"), &mimir_limits.path(), &[Mimir::READS]);
        let edge = build(Edge::builder().upstream(mimir.port())).start(&limits(1));
        let write = RemoteWrite::new(PROMETHEUS, "prometheus.WriteRequest", edge.port());
        let target = Target::start(SERIES);
        let place: PathBuf = folder.path().join("prometheus");
        std::fs::create_dir(&place).expect("a folder can be made");
        let prometheus = Prometheus::start(&place, &target, std::slice::from_ref(&write));
        let mut stack = Self {
            edge,
            mimir,
            control,
            prometheus,
            write,
            _target: target,
            _mimir_limits: mimir_limits,
            _folder: folder,
            sent_since: i64::MAX,
            next_push: 0,
            probe: 1,
        };
        let newest = || stack.mimir.sample_times(PROMETHEUS, SCRAPED).into_values().flatten().max();
        stack.sent_since = until_some("Prometheus' samples are in Mimir", newest);
        stack
    }

    /// Starts the pushes of a case.
    pub(crate) fn load(&mut self) -> OpenLoop {
        let load = OpenLoop::start(self.edge.port(), sender, EVERY, self.next_push);
        self.next_push += 1_000_000;
        load
    }

    /// Changes a limit where limits come from, and says how long it takes until it holds.
    pub(crate) fn change_a_limit(&mut self) -> Duration {
        self.probe += 1;
        let changed = Instant::now();
        match &self.control {
            // Right after a failure the API server may still reject it.
            Some(control) => drop(control.cluster.put(&limits(self.probe))),
            None => self.edge.limits.replace(&limits(self.probe)),
        }
        let probe = u64::from(self.probe);
        until("a changed limit holds", || self.probe_in_force() == Some(probe));
        changed.elapsed()
    }

    /// The limit by which a change is known.
    pub(crate) fn probe_in_force(&self) -> Option<u64> {
        self.edge.rls.burst("probe")
    }

    /// The control plane.
    pub(crate) fn control(&mut self) -> &mut Control {
        self.control.as_mut().expect("this stack has a control plane")
    }

    /// How long it takes until Mimir has every sample that Prometheus has now.
    pub(crate) fn prometheus_catches_up(&self) -> Duration {
        let asked = Instant::now();
        let mut scraped = self.prometheus.sample_times(SCRAPED);
        scraped.values_mut().for_each(|times| times.retain(|time| *time >= self.sent_since));
        until_within(CATCH_UP, "Mimir has every sample that Prometheus has", || {
            let kept = self.mimir.sample_times(PROMETHEUS, SCRAPED);
            scraped.iter().all(|(series, times)| kept.get(series).is_some_and(|kept| kept.is_superset(times)))
        });
        asked.elapsed()
    }

    /// Samples that Prometheus gave up.
    pub(crate) fn prometheus_lost(&self) -> f64 {
        let counter = |name| self.prometheus.remote_write_counter(name, &self.write);
        counter("prometheus_remote_storage_samples_failed_total")
            + counter("prometheus_remote_storage_samples_dropped_total")
    }

    /// Ends it, after a last look.
    pub(crate) fn end(self) {
        assert_eq!(self.prometheus_lost(), 0.0, "Prometheus gave samples up");
    }
}
