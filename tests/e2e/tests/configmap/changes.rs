//! All changes of a ConfigMap while the API server is up.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use e2e::{ADMIN, CONFIG_MAP, Cluster, until};
use serde_json::json;

use super::{Watched, rates};

/// The watch brings a change long before the check that runs every 15 s could find it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The same for a document that takes seconds to read without optimization on a machine that also compiles.
const BEFORE_A_CHECK: Duration = Duration::from_secs(13);

#[test]
fn each_change_applies_at_once_and_a_deletion_removes_nothing() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    let started = Instant::now();
    let mut watched = Watched::start(&cluster);
    assert_eq!(watched.rate("team"), Some(1.0), "the start waits for the first limits");
    let first = watched.state().origin.expect("an origin");
    watched.confirmed_since(started);

    assert!(watched.wait_for_rate("team", 2, cluster.put(&rates(&[("team", 2)]))) < AT_ONCE);
    let second = watched.state().origin.expect("an origin");
    assert!(first.is_older_than(&second), "{first:?} {second:?}");

    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mimir-runtime" },
        "data": { "runtime.yaml": rates(&[("team", 3)]), "other.ingestion_rate": "30" },
    });
    assert_eq!(cluster.server.api(ADMIN).put(CONFIG_MAP, &object).status, 200);
    assert!(watched.wait_for_rate("team", 3, Instant::now()) < AT_ONCE);
    assert_eq!(watched.rate("other"), Some(30.0), "several keys are one set");

    assert_eq!(cluster.server.api(ADMIN).delete(CONFIG_MAP).status, 200);
    until("the deletion is seen", || watched.reports("the ConfigMap was deleted"));
    assert_eq!((watched.rate("team"), watched.counts.deletions.get()), (Some(3.0), 1));

    let since = Instant::now();
    cluster.create(&rates(&[("team", 4)]));
    assert!(watched.wait_for_rate("team", 4, since) < AT_ONCE);
    assert_eq!(watched.problems(), Vec::<String>::new());
    let last = watched.state().origin.expect("an origin");
    assert_ne!(last.uid, second.uid);
    assert_eq!(
        (watched.counts.deletions.get(), watched.counts.restarts.get()),
        (1, 0),
        "one watch brought all changes"
    );
}

#[test]
fn bad_documents_and_unknown_keys_are_problems_without_effect() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    let mut watched = Watched::start(&cluster);
    let good = watched.state().origin;

    cluster.put("overrides:\n  team: { ingestion_rate: fast }\n");
    until("the illegal document is a problem", || watched.reports("runtime.yaml:2: tenant team"));
    assert_eq!((watched.rate("team"), watched.state().origin), (Some(1.0), good.clone()));

    cluster.patch(&json!({ "data": null }));
    until("the emptied object is a problem", || watched.reports("there is no tenant any more"));
    assert_eq!((watched.rate("team"), watched.state().origin), (Some(1.0), good));

    let since = cluster.patch(&json!({ "data": { "runtime.yaml": rates(&[("team", 2)]) }, "binaryData": { "more.yaml": "b3ZlcnJpZGVzOg==" } }));
    assert!(watched.wait_for_rate("team", 2, since) < AT_ONCE);
    assert_eq!(
        watched.problems(),
        [
            "more.yaml: is not read: runtime.yaml is the key that is read; --limits kube:mimir/mimir-runtime/KEY names another"
        ]
    );
}

#[test]
fn every_change_to_ten_thousand_tenants_is_followed() {
    let cluster = Cluster::start(&rates(&[("team", 1)]));
    let mut watched = Watched::start(&cluster);
    let document = |changed: u32| {
        let mut text = "overrides:\n".to_owned();
        for tenant in 0..10_000 {
            let rate = if tenant == 7_777 { changed } else { 20_000 };
            writeln!(text, "  t{tenant}: {{ingestion_rate: {rate}, ingestion_burst_size: 400000, request_rate: 10, request_burst_size: 9}}")
                .expect("text");
        }
        assert!((1_000_000..1 << 20).contains(&text.len()), "{}", text.len());
        text
    };
    let mut slowest = Duration::ZERO;
    for change in 1..=10 {
        slowest = slowest.max(watched.wait_for_rate("t7777", change, cluster.put(&document(change))));
    }
    eprintln!("the slowest of 10 changes among 10,000 tenants took {slowest:.0?} in this build");
    assert!(slowest < BEFORE_A_CHECK, "{slowest:?}");
    assert_eq!(watched.state().limits.map(|limits| limits.len()), Some(10_000));
}
