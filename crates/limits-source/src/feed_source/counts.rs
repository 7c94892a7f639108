//! What the feed has done so far, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the feed goes, counted since the start.
#[derive(Debug, Default)]
pub struct FeedCounts {
    connects: AtomicU64,
    failed_connects: AtomicU64,
    streams_lost: AtomicU64,
    snapshots_taken: AtomicU64,
    deltas_taken: AtomicU64,
    refused_older: AtomicU64,
    refused_unreadable: AtomicU64,
    connected: AtomicBool,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Connected,
    FailedConnect,
    StreamLost,
    SnapshotTaken,
    DeltaTaken,
    RefusedOlder,
    RefusedUnreadable,
}

impl FeedCounts {
    pub(super) fn count(&self, event: Event) {
        let counter = match event {
            Event::Connected => &self.connects,
            Event::FailedConnect => &self.failed_connects,
            Event::StreamLost => &self.streams_lost,
            Event::SnapshotTaken => &self.snapshots_taken,
            Event::DeltaTaken => &self.deltas_taken,
            Event::RefusedOlder => &self.refused_older,
            Event::RefusedUnreadable => &self.refused_unreadable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// Streams on which a server said something.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    /// Names that could not be resolved, and servers that could not be reached, refused the stream, or said nothing in time.
    #[must_use]
    pub fn failed_connects(&self) -> u64 {
        self.failed_connects.load(Ordering::Relaxed)
    }

    /// Streams that broke, went silent, or gave no limits in time; not those that a server ended in order or that were left for what it said.
    #[must_use]
    pub fn streams_lost(&self) -> u64 {
        self.streams_lost.load(Ordering::Relaxed)
    }

    /// Updates that replaced everything.
    #[must_use]
    pub fn snapshots_taken(&self) -> u64 {
        self.snapshots_taken.load(Ordering::Relaxed)
    }

    /// Updates that said what changed, also where nothing did.
    #[must_use]
    pub fn deltas_taken(&self) -> u64 {
        self.deltas_taken.load(Ordering::Relaxed)
    }

    /// Updates that were not taken since the limits in force are of a newer revision.
    #[must_use]
    pub fn refused_older(&self) -> u64 {
        self.refused_older.load(Ordering::Relaxed)
    }

    /// Updates, and lists of elected replicas, that were not taken since they could not be read or are not what their server meant.
    #[must_use]
    pub fn refused_unreadable(&self) -> u64 {
        self.refused_unreadable.load(Ordering::Relaxed)
    }

    /// Whether a server is heard now.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}
