//! Events on the ConfigMap about its problems, on the real API server.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use e2e::{ADMIN, Cluster, OverridesSync, until, until_some};
use serde_json::{Value, json};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/mimir/events";
const GOOD: &str = "overrides:\n  team-a: { ingestion_rate: 5 }\n";
const UNMATCHED: &str = "overrides:\n  team/a: { ingestion_rate: 5 }\n  team-a: {}\n";
const NOTE: &str = "runtime.yaml:2: tenant team/a: no push is ever of this tenant, and the entry is ignored: tenant ID 'team/a' \
                    contains unsupported character '/'";

/// The Events in Mimir's namespace, in the order of their notes.
fn events(cluster: &Cluster) -> Vec<Value> {
    let list: Value = serde_json::from_str(&cluster.server.api(ADMIN).get(EVENTS).text()).unwrap_or_default();
    let mut events = list["items"].as_array().cloned().unwrap_or_default();
    events.sort_by_key(|event| event["note"].to_string());
    events
}

fn event_count(sync: &OverridesSync, result: &str) -> f64 {
    sync.metric(&format!("overrides_sync_events_total{{result=\"{result}\"}}")).unwrap_or_default()
}

#[test]
fn a_bad_entry_is_one_event_for_all_replicas() {
    let cluster = Cluster::start(GOOD);
    let both = [cluster.sync("one", &[]), cluster.sync("two", &[])];
    assert_eq!(events(&cluster), Vec::<Value>::new());
    cluster.put(UNMATCHED);
    let sum = |result| both.iter().map(|sync| event_count(sync, result)).sum::<f64>();
    until("both have reported it", || (sum("created"), sum("repeated")) == (1.0, 1.0));
    let events = events(&cluster);
    assert_eq!(events.len(), 1, "{events:?}");
    for (field, expected) in [
        ("/note", json!(NOTE)),
        ("/type", json!("Warning")),
        ("/reason", json!("OverrideIgnored")),
        ("/regarding/kind", json!("ConfigMap")),
        ("/regarding/name", json!("mimir-runtime")),
        ("/reportingController", json!("mimir-edge/overrides-sync")),
        ("/series/count", json!(2)),
    ] {
        assert_eq!(events[0].pointer(field), Some(&expected), "{field} of {}", events[0]);
    }
    let described = cluster.kubectl().ok(&["describe", "configmap", "mimir-runtime", "--namespace=mimir"]);
    let lines: Vec<_> = described.lines().filter(|line| line.contains(NOTE)).collect();
    assert_eq!(lines.len(), 1, "{described}");
    assert!(lines[0].contains("OverrideIgnored"), "{described}");
}

#[test]
fn events_report_the_worst_problems_and_count_the_rest() {
    let entries: String = (0..200).map(|number| format!("  t{number}: {{ typo: 1, request_rate: x }}\n")).collect();
    let cluster = Cluster::start(GOOD);
    let sync = cluster.sync("sync", &[]);
    cluster.put(&format!("overrides:\n{entries}"));
    until("all Events are written", || event_count(&sync, "created") >= 51.0);
    let events = events(&cluster);
    let with = |reason: &str| events.iter().filter(|event| event["reason"] == reason).count();
    assert_eq!((with("InvalidOverrides"), with("MoreProblems"), events.len()), (50, 1, 51));
    let rest = events.iter().find(|event| event["reason"] == "MoreProblems").map(|event| event["note"].to_string());
    assert!(rest.as_ref().is_some_and(|rest| rest.contains("350 more problems")), "{rest:?}");
    let words = "Mimir says: load file: yaml: unmarshal errors: line 3: cannot unmarshal !!str `x` into float64";
    assert!(events.iter().any(|event| event["note"].to_string().contains(words)), "{events:?}");
}

#[test]
fn after_an_outage_only_the_remaining_problems_are_reported() {
    let mut cluster = Cluster::start(UNMATCHED);
    let sync = cluster.sync("sync", &[]);
    until("it is reported", || event_count(&sync, "created") == 1.0);
    let uid = events(&cluster)[0]["regarding"]["uid"].clone();
    cluster.server.kill();
    cluster.server.restart();
    cluster.put("overrides:\n  team-b/: { request_rate: 5 }\n  team-a: {}\n");
    let note = until_some("the new problem is reported", || {
        events(&cluster).into_iter().find(|event| event["note"].to_string().contains("team-b"))
    });
    assert_eq!(note["regarding"]["uid"], uid);
    let all = events(&cluster);
    assert_eq!(all.len(), 2, "{all:#?}");
}

#[test]
fn events_can_be_disabled() {
    let cluster = Cluster::start(UNMATCHED);
    let sync = cluster.sync("sync", &["--events=off"]);
    let ignored = "overrides_sync_problems{severity=\"ignored\"}";
    until("the problem is seen", || sync.metric(ignored) == Some(1.0));
    cluster.put(GOOD);
    until("the problem is gone", || sync.metric(ignored) == Some(0.0));
    assert_eq!(events(&cluster), Vec::<Value>::new());
}
