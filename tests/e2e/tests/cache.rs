//! A mimir-rls that starts without its source of limits decides by the last good ones.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::PathBuf;

use e2e::{Edge, Signal, samples, until};
use tempfile::TempDir;

const LIMITS: &str = "overrides: { team: { ingestion_rate: 0.001, ingestion_burst_size: 5 } }";
const WITH_NEWCOMER: &str =
    "overrides: { team: { ingestion_rate: 0.001, ingestion_burst_size: 5 }, newcomer: { ingestion_burst_size: 1 } }";

struct Cached {
    edge: Edge,
    cache: PathBuf,
    _folder: TempDir,
}

impl Cached {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let cache = folder.path().join("limits.cache");
        let argument = format!("--limits-cache={}", cache.display());
        let edge = Edge::builder().rls_arguments(&[&argument]).start(LIMITS);
        until("the limits are in the cache", || fs::metadata(&cache).is_ok_and(|cache| cache.len() > 0));
        Self { edge, cache, _folder: folder }
    }

    /// Ends mimir-rls, takes the limits away, does something, and starts it again.
    fn restart_without_limits(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.edge.rls.process.signal(Signal::TERM);
        assert!(self.edge.rls.process.wait().success());
        self.edge.limits.remove();
        meanwhile(self);
        self.edge.rls.restart();
    }

    /// Lines of the log that warn of the cache.
    fn warnings(&self) -> usize {
        let log = self.edge.rls.process.log();
        log.lines().filter(|line| line.contains("WARN") && line.contains("limits.cache")).count()
    }

    fn denies_by_the_old_limits(&self) {
        until("pushes are decided", || self.edge.push("team", &samples(1).bytes).status != 503);
        let denied = self.edge.push("team", &samples(6).bytes);
        assert_eq!((denied.status, denied.reason().as_deref()), (429, Some("ingestion_burst")));
        assert!(denied.text().contains("set to 5, with 6 items"), "{}", denied.text());
    }
}

#[test]
fn a_restart_without_limits_decides_by_the_cache() {
    let mut cached = Cached::start();
    cached.restart_without_limits(|_| ());
    until("mimir-rls is ready", || cached.edge.rls.readiness() == Some(200));
    cached.denies_by_the_old_limits();

    // The document comes back with one tenant more, who is limited from then on and after the next restart.
    let first = fs::read(&cached.cache).expect("the cache can be read");
    cached.edge.limits.write(WITH_NEWCOMER);
    let newcomer = |cached: &Cached| cached.edge.push("newcomer", &samples(2).bytes).status;
    until("the new limits hold", || newcomer(&cached) == 429);
    until("the new limits are in the cache", || fs::read(&cached.cache).is_ok_and(|cache| cache != first));
    cached.restart_without_limits(|_| ());
    cached.denies_by_the_old_limits();
    assert_eq!(newcomer(&cached), 429);
}

#[test]
fn a_corrupt_cache_is_ignored() {
    let mut cached = Cached::start();
    let good = fs::read(&cached.cache).expect("the cache can be read");
    let cut = good.get(..good.len() / 2).expect("half of it");
    for corrupt in [b"no cache at all".as_slice(), b"", cut] {
        let warned = cached.warnings();
        cached.restart_without_limits(|cached| fs::write(&cached.cache, corrupt).expect("the cache can be written"));
        until("the log warns of the cache", || cached.warnings() > warned);
        assert_eq!(cached.edge.rls.readiness(), Some(503));
        cached.edge.limits.write(LIMITS);
        until("mimir-rls is ready", || cached.edge.rls.readiness() == Some(200));
        cached.denies_by_the_old_limits();
    }
}
