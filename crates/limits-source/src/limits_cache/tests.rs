use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use limits::{LoadedLimits, SourceDocument, TenantLimits};
use tasks::Tasks;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::FileSource;

const DEADLINE: Duration = Duration::from_secs(20);

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cache(&self) -> LimitsCache {
        LimitsCache::new(self.at("limits.cache"))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn state() -> LimitsState {
    LimitsState::new(TenantLimits::default(), false)
}

fn limits(text: &str) -> LoadedLimits {
    let limits = state().apply(&[SourceDocument::new("runtime.yaml", text)]).snapshot;
    LoadedLimits { limits, ..LoadedLimits::default() }
}

fn feed(states: watch::Receiver<LoadedLimits>) -> LimitsFeed {
    LimitsFeed { states, freshness: Freshness::default() }
}

fn uncounted() -> watch::Receiver<Option<NonZeroU32>> {
    watch::channel(None).1
}

/// Keeps what is there and ends, because there is no source any more.
async fn keep_once(cache: LimitsCache, now: LoadedLimits) {
    let (_, states) = watch::channel(now);
    cache.keep(feed(states), uncounted(), CancellationToken::new()).await;
}

fn count(faults: &Count) -> u64 {
    faults.get()
}

#[track_caller]
fn loads(cache: &LimitsCache) -> Option<usize> {
    let mut state = state();
    cache.load(&mut state)?;
    state.current().map(|limits| limits.len())
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll).await.unwrap_or_else(|_| unreachable!("{what} did not come about"));
}

#[tokio::test]
async fn each_change_is_written_whole_and_loads_again() {
    let folder = Folder::new();
    let (sender, states) = watch::channel(LoadedLimits::default());
    let kept = tokio::spawn(folder.cache().keep(feed(states), uncounted(), CancellationToken::new()));
    for (text, tenants) in [("overrides: {a: {}}", 1), ("overrides: {a: {}, b: {}}", 2), ("overrides: {b: {}}", 1)] {
        let next = limits(text);
        let hash = next.limits.as_ref().map(|limits| limits.content_sum());
        sender.send_replace(next);
        eventually(text, || {
            let mut state = state();
            folder.cache().load(&mut state);
            state.current().map(|limits| limits.content_sum()) == hash
        })
        .await;
        assert_eq!(loads(&folder.cache()), Some(tenants), "{text}");
    }
    drop(sender);
    kept.await.unwrap();
    assert_eq!(folder.names(), ["limits.cache"]);
    assert_eq!(fs::metadata(folder.at("limits.cache")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_was_loaded_is_not_written_again() {
    let folder = Folder::new();
    keep_once(folder.cache(), limits("overrides: {a: {}}")).await;
    let written = fs::metadata(folder.at("limits.cache")).unwrap().ino();
    // Holds the inode, so that a new file cannot get the same one.
    let _file = File::open(folder.at("limits.cache")).unwrap();

    let cache = folder.cache();
    let mut state = state();
    cache.load(&mut state);
    keep_once(cache, LoadedLimits { limits: state.current(), ..LoadedLimits::default() }).await;
    assert_eq!(fs::metadata(folder.at("limits.cache")).unwrap().ino(), written);

    let cache = folder.cache();
    loads(&cache);
    keep_once(cache, limits("overrides: {a: {ingestion_rate: 1}}")).await;
    assert_ne!(fs::metadata(folder.at("limits.cache")).unwrap().ino(), written);
}

#[tokio::test]
async fn each_number_of_distributors_is_written_beside_the_limits() {
    let folder = Folder::new();
    let loaded = || folder.cache().load(&mut state()).and_then(|loaded| loaded.distributors).map(NonZeroU32::get);
    let (_limits, states) = watch::channel(limits("overrides: {a: {}}"));
    let (count, counted) = watch::channel(None);
    let stop = CancellationToken::new();
    let kept = tokio::spawn(folder.cache().keep(feed(states), counted, stop.clone()));
    eventually("the limits", || loads(&folder.cache()) == Some(1)).await;
    assert_eq!(loaded(), None);
    for distributors in [3, 5, 4] {
        count.send_replace(NonZeroU32::new(distributors));
        eventually("the number", || loaded() == Some(distributors)).await;
        assert_eq!(loads(&folder.cache()), Some(1));
    }
    drop(count);
    stop.cancel();
    kept.await.unwrap();
    assert_eq!(loaded(), Some(4));
}

#[tokio::test]
async fn a_loaded_number_of_distributors_is_not_written_again() {
    let folder = Folder::new();
    let keep_count = async |cache: LimitsCache, distributors| {
        let (_, states) = watch::channel(limits("overrides: {a: {}}"));
        cache.keep(feed(states), watch::channel(NonZeroU32::new(distributors)).1, CancellationToken::new()).await;
    };
    keep_count(folder.cache(), 3).await;
    let written = || fs::metadata(folder.at("limits.cache")).unwrap().ino();
    let first = written();
    // Holds the inode, so that a new file cannot get the same one.
    let _file = File::open(folder.at("limits.cache")).unwrap();
    for (distributors, is_same) in [(3, true), (4, false)] {
        let cache = folder.cache();
        loads(&cache);
        keep_count(cache, distributors).await;
        assert_eq!(written() == first, is_same, "{distributors}");
    }
}

#[tokio::test]
async fn an_unusable_cache_is_counted_and_rewritten() {
    let folder = Folder::new();
    keep_once(folder.cache(), limits("overrides: {a: {}}")).await;
    let good = fs::read(folder.at("limits.cache")).unwrap();
    let (cut, mut edited) = (&good[..good.len() - 1], good.clone());
    edited[good.len() - 10] ^= 1;
    for bad in [cut, &edited, b""] {
        fs::write(folder.at("limits.cache"), bad).unwrap();
        let cache = folder.cache();
        assert_eq!(loads(&cache), None);
        assert_eq!(count(&cache.faults()), 1);
        keep_once(cache, limits("overrides: {a: {}}")).await;
        assert_eq!(fs::read(folder.at("limits.cache")).unwrap(), good);
    }
}

#[test]
fn a_missing_cache_is_no_error_an_oversized_one_is() {
    let folder = Folder::new();
    let cache = folder.cache();
    assert_eq!((loads(&cache), count(&cache.faults())), (None, 0));
    File::create(folder.at("limits.cache")).unwrap().set_len(MAX_CACHE_BYTES as u64 + 1).unwrap();
    assert_eq!((loads(&cache), count(&cache.faults())), (None, 1));
    let folders = LimitsCache::new(folder.0.path().to_owned());
    assert_eq!((loads(&folders), count(&folders.faults())), (None, 1));
}

#[tokio::test]
async fn a_write_that_fails_is_counted_and_tried_again() {
    let folder = Folder::new();
    let path = folder.at("later").join("limits.cache");
    let cache = LimitsCache { retry_every: Duration::from_millis(5), ..LimitsCache::new(path.clone()) };
    let faults = cache.faults();
    let (_sender, states) = watch::channel(limits("overrides: {a: {}}"));
    let stop = CancellationToken::new();
    let kept = tokio::spawn(cache.keep(feed(states), uncounted(), stop.clone()));
    eventually("a second attempt", || count(&faults) >= 2).await;
    fs::create_dir(folder.at("later")).unwrap();
    eventually("the cache", || path.exists()).await;
    stop.cancel();
    kept.await.unwrap();
    assert_eq!(loads(&LimitsCache::new(path)), Some(1));
}

#[tokio::test]
async fn a_fault_is_reported_once_until_it_changes() {
    let folder = Folder::new();
    let cache = folder.cache();
    let error = |text: &str| Err(io::Error::other(text.to_owned()));
    let first = cache.report(error("full"), None);
    assert_eq!(first.as_deref(), Some("full"));
    assert_eq!(cache.report(error("full"), first.clone()), first);
    assert_eq!(cache.report(Ok(()), first), None);
    assert_eq!(count(&cache.faults()), 2, "every attempt counts");
}

#[tokio::test]
async fn limits_in_force_at_shutdown_are_written_completely() {
    let folder = Folder::new();
    let (_sender, states) = watch::channel(limits("overrides: {a: {}, b: {}}"));
    let stop = CancellationToken::new();
    stop.cancel();
    folder.cache().keep(feed(states), uncounted(), stop).await;
    assert_eq!(loads(&folder.cache()), Some(2));
}

#[tokio::test]
async fn limits_that_change_as_it_is_stopped_are_written() {
    for round in 0..20 {
        let folder = Folder::new();
        let (sender, states) = watch::channel(limits("overrides: {a: {}}"));
        let stop = CancellationToken::new();
        let kept = tokio::spawn(folder.cache().keep(feed(states), uncounted(), stop.clone()));
        eventually("the first limits", || loads(&folder.cache()) == Some(1)).await;
        sender.send_replace(limits("overrides: {a: {}, b: {}}"));
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(loads(&folder.cache()), Some(2), "round {round}");
    }
}

#[tokio::test]
async fn the_leftovers_of_a_killed_process_are_replaced() {
    let folder = Folder::new();
    for part in ["", "# limits ca", "# limits cache of mimir-rls, written by it alone; format 1, che"] {
        fs::write(folder.at("limits.cache.new"), part).unwrap();
        keep_once(folder.cache(), limits("overrides: {a: {}}")).await;
        assert_eq!(loads(&folder.cache()), Some(1), "{part}");
        assert_eq!(folder.names(), ["limits.cache"], "{part}");
        fs::remove_file(folder.at("limits.cache")).unwrap();
    }
}

/// Puts what is not ours at `name`: it stays as it is, every write is a fault, and none is once it is gone.
#[track_caller]
fn leaves_alone(name: &str, put: impl Fn(&Path), is_untouched: impl Fn(&Path) -> bool) {
    let folder = Folder::new();
    put(&folder.at(name));
    let cache = LimitsCache { retry_every: Duration::from_millis(5), ..folder.cache() };
    let faults = cache.faults();
    _ = loads(&cache);
    let loading = count(&faults);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_sender, states) = watch::channel(limits("overrides: {a: {}}"));
        let stop = CancellationToken::new();
        let kept = tokio::spawn(cache.keep(feed(states), uncounted(), stop.clone()));
        eventually("a second attempt", || count(&faults) >= loading + 2).await;
        assert!(is_untouched(&folder.at(name)), "{name}");
        assert_eq!(folder.names(), [name]);
        fs::rename(folder.at(name), folder.at("away")).unwrap();
        eventually("the cache", || loads(&folder.cache()) == Some(1)).await;
        stop.cancel();
        kept.await.unwrap();
    });
}

#[test]
fn a_file_that_is_not_a_limits_cache_is_kept() {
    for name in ["limits.cache", "limits.cache.new"] {
        let titles =
            ["# limits cache of mimir-rls, written by me".as_bytes(), b"#\n", b"overrides: {a: {}}\n", b"\xff"];
        for text in titles {
            leaves_alone(name, |path| fs::write(path, text).unwrap(), |path| fs::read(path).unwrap() == text);
        }
    }
}

#[test]
fn only_a_regular_file_is_replaced() {
    for name in ["limits.cache", "limits.cache.new"] {
        let link = |path: &Path| symlink("limits.yaml", path).unwrap();
        leaves_alone(name, link, |path| fs::read_link(path).is_ok_and(|to| to == Path::new("limits.yaml")));
        let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        leaves_alone(name, pipe, |path| fs::symlink_metadata(path).unwrap().file_type().is_fifo());
        leaves_alone(name, |path| fs::create_dir(path).unwrap(), Path::is_dir);
    }
}

#[tokio::test]
async fn unchanged_limits_age_from_their_last_confirmation() {
    let folder = Folder::new();
    let month = Duration::from_secs(30 * 86_400);
    let path = folder.at("limits.cache");
    let dated = |ago| File::open(&path).unwrap().set_modified(SystemTime::now() - ago).unwrap();
    let age = || SystemTime::now().duration_since(fs::metadata(&path).unwrap().modified().unwrap()).unwrap_or_default();
    keep_once(folder.cache(), limits("overrides: {a: {}}")).await;
    dated(month);
    let written = fs::metadata(&path).unwrap().ino();

    let cache = LimitsCache { date_every: Duration::from_millis(5), ..folder.cache() };
    let mut state = state();
    let freshness = Freshness::confirmed_ago(cache.load(&mut state).unwrap().age);
    let (sender, states) = watch::channel(LoadedLimits { limits: state.current(), ..LoadedLimits::default() });
    let feed = LimitsFeed { states, freshness: freshness.clone() };
    let kept = tokio::spawn(cache.keep(feed, uncounted(), CancellationToken::new()));
    tokio::task::yield_now().await;
    assert!(age() >= month, "a source that is away confirms nothing: {:?}", age());
    eventually("a younger file", || {
        freshness.confirm();
        age() < month
    })
    .await;
    assert!(age() < DEADLINE, "{:?}", age());
    assert_eq!(fs::metadata(&path).unwrap().ino(), written, "it is not written again");

    fs::remove_file(&path).unwrap();
    eventually("another file", || {
        freshness.confirm();
        path.exists()
    })
    .await;
    drop(sender);
    kept.await.unwrap();
    assert_eq!(loads(&folder.cache()), Some(1));
}

#[tokio::test]
async fn limits_written_late_age_from_their_last_confirmation() {
    let folder = Folder::new();
    let hour = Duration::from_secs(3600);
    let (_, states) = watch::channel(limits("overrides: {a: {}}"));
    let feed = LimitsFeed { states, freshness: Freshness::confirmed_ago(hour) };
    folder.cache().keep(feed, uncounted(), CancellationToken::new()).await;
    let age = folder.cache().load(&mut state()).unwrap().age;
    assert!((hour..2 * hour).contains(&age), "{age:?}");
}

#[tokio::test]
async fn a_server_restarts_from_its_cache_without_its_file() {
    let folder = Folder::new();
    keep_once(folder.cache(), limits("overrides: {a: {}, b: {}}")).await;
    let hour = Duration::from_secs(3600);
    let file = File::options().write(true).open(folder.at("limits.cache")).unwrap();
    file.set_modified(SystemTime::now() - hour).unwrap();

    let mut state = state();
    let age = folder.cache().load(&mut state).unwrap().age;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let documents = folder.at("runtime.yaml").display().to_string().parse().unwrap();
    let source = FileSource::new(documents, state, Freshness::confirmed_ago(age)).unwrap();
    let mut feed = source.start(&Tasks::new(stop)).await;
    let now = feed.states.borrow_and_update().clone();
    assert_eq!((now.limits.map(|limits| limits.len()), now.problems.len()), (Some(2), 1));
    assert!((hour..2 * hour).contains(&feed.freshness.age()), "{:?}", feed.freshness.age());

    fs::write(folder.at("runtime.yaml"), "overrides: {a: {}}").unwrap();
    let read = feed.states.wait_for(|state| state.limits.as_ref().is_some_and(|limits| limits.version() == 2));
    tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
    eventually("a confirmation", || feed.freshness.age() < hour).await;
}
