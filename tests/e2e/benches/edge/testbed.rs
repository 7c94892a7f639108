//! What is compared: an edge, a plain Envoy before the same upstream, and a Mimir of its own.

use std::path::Path;

use e2e::{Edge, Envoy, EnvoySettings, Mimir, Process, WatchedFile};
use tempfile::TempDir;

use crate::pushes::overrides;

mod upstream;

use upstream::Upstream;

/// The running programs.
pub(crate) struct Testbed {
    pub(crate) edge: Edge,
    /// With the listener and the upstream of the edge's Envoy, and without what the edge adds to them.
    pub(crate) plain: Envoy,
    pub(crate) mimir: Mimir,
    at_start: [u64; 2],
    _upstream: Upstream,
    _folder: TempDir,
}

impl Testbed {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
        let place = |name: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).unwrap_or_else(|error| unreachable!("{error}"));
            place
        };
        let (upstream, limits) = (Upstream::start(), WatchedFile::of(&overrides()));
        let mimir = Mimir::start(&place("mimir"), Path::new(&limits.path()));
        let edge = Edge::builder().upstream(upstream.port()).start_with(limits);
        let settings = EnvoySettings {
            upstream_port: Some(upstream.port()),
            only_forwards: true,
            ..EnvoySettings::with_rls(vec![edge.rls.grpc_port()])
        };
        let plain = Envoy::start(&place("plain"), &settings);
        let at_start = resident(&edge);
        Self { edge, plain, mimir, at_start, _upstream: upstream, _folder: folder }
    }

    pub(crate) fn print_memory(&self) {
        println!("Resident memory in MiB.\n");
        println!("| program | after the start | after this run | at most |\n|---|---|---|---|");
        let programs = [("mimir-rls", &self.edge.rls.process), ("Envoy", &self.edge.envoy.process)];
        for (((name, process), before), after) in programs.into_iter().zip(self.at_start).zip(resident(&self.edge)) {
            println!("| {name} | {before} | {after} | {} |", process.peak_rss() >> 20);
        }
        println!();
    }
}

fn resident(edge: &Edge) -> [u64; 2] {
    [&edge.rls.process, &edge.envoy.process].map(|process: &Process| process.rss() >> 20)
}
