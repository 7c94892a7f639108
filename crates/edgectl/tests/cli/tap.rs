//! `edgectl tap`: each denial once, and what becomes of those that it cannot see.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::load::signal;
use crate::replica::{Replica, fault, nowhere};
use crate::{Finished, edgectl, run};

pub(crate) fn denial(sequence: u64, tenant: &str, mode: &str, reason: &str, status: u16) -> Value {
    json!({
        "time": format!("2025-11-21T10:00:{sequence:02}.000Z"), "sequence": sequence, "tenant": tenant,
        "decision": if mode == "enforce" { "deny" } else { "would_deny" }, "mode": mode, "reason": reason, "status": status,
        "api": "check", "samples": 100, "histograms": 0, "exemplars": 0, "metadata": 0, "body_bytes": 2311,
        "retry_attempt": sequence % 2, "message": "rejected",
    })
}

fn of(tenant: &str, sequence: u64) -> Value {
    denial(sequence, tenant, "enforce", "ingestion_rate", 429)
}

/// A page of denials, newest first.
fn page(denials: &[Value], next: Option<u64>) -> Value {
    json!({ "denials": denials, "next": next })
}

/// A replica that answers its requests one after another with these pages, and then always with the last; and what it was asked for.
fn replica(pages: Vec<Value>) -> (Replica, Receiver<String>) {
    let (asked, requests) = channel();
    let last = pages.last().cloned().expect("a page");
    let state: Mutex<(Sender<String>, std::vec::IntoIter<Value>)> = Mutex::new((asked, pages.into_iter()));
    let replica = Replica::start(move |request| {
        let (asked, pages) = &mut *state.lock().unwrap();
        // Not every test looks at what was asked.
        _ = asked.send(request.target.clone());
        let page = pages.next().unwrap_or_else(|| last.clone());
        if page.is_null() { fault(503, "no limits") } else { page.to_string().into_response() }
    });
    (replica, requests)
}

fn tap(replicas: &[&Replica], flags: &str) -> Finished {
    let addresses = replicas.iter().map(|replica| replica.url.as_str()).collect::<Vec<_>>().join(",");
    run(&[&["tap", "--address", &addresses], &flags.split_whitespace().collect::<Vec<_>>()[..]].concat())
}

/// The sequence numbers of JSON lines.
fn sequences(finished: &Finished) -> Vec<u64> {
    let rows = finished.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row.get("sequence").and_then(Value::as_u64).unwrap()).collect()
}

#[test]
fn only_new_denials_are_printed_and_each_once() {
    let old = [of("a", 3), of("a", 2)];
    let new = [of("b", 5), of("a", 4), of("a", 3), of("a", 2)];
    let (replica, requests) = replica(vec![page(&old[..1], Some(3)), page(&old, None), page(&new, None)]);
    let finished = tap(&[&replica], "--count 2 -o json");
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(sequences(&finished), [4, 5]);
    let line: Value = serde_json::from_str(finished.out.lines().next().unwrap()).unwrap();
    assert_eq!((&line["replica"], &line["message"]), (&json!(replica.url), &json!("rejected")));
    assert_eq!(
        requests.try_iter().take(2).collect::<Vec<_>>(),
        ["/api/v1/denials?limit=1", "/api/v1/denials?limit=100"]
    );
}

#[test]
fn kept_denials_of_all_replicas_are_in_order_of_time() {
    let (one, _) = replica(vec![page(&[of("a", 9), of("a", 5)], None)]);
    let (other, _) = replica(vec![page(&[of("b:k=v", 7), of("b", 6)], None)]);
    let finished = tap(&[&one, &other], "--since-start --count 4");
    let expected = format!(
        "\
2025-11-21T10:00:05.000Z  {0}  a  deny  enforce  ingestion_rate  429  100 samples  retry 1
2025-11-21T10:00:06.000Z  {1}  b  deny  enforce  ingestion_rate  429  100 samples
2025-11-21T10:00:07.000Z  {1}  b:k=v  deny  enforce  ingestion_rate  429  100 samples  retry 1
2025-11-21T10:00:09.000Z  {0}  a  deny  enforce  ingestion_rate  429  100 samples  retry 1
",
        one.url, other.url
    );
    assert_eq!((finished.code, finished.out.as_str(), finished.err.as_str()), (Some(0), expected.as_str(), ""));
}

#[test]
fn filters_choose_by_tenant_mode_reason_and_status() {
    let all = [
        denial(5, "b", "shadow", "request_rate", 429),
        denial(4, "a", "enforce", "unreadable_body", 400),
        denial(3, "a:k=v", "enforce", "ingestion_rate", 429),
        denial(2, "a", "shadow", "ingestion_rate", 429),
        denial(1, "ab", "enforce", "ingestion_burst", 429),
    ];
    let (replica, _) = replica(vec![page(&all, None)]);
    for (flags, expected) in [
        ("--tenant a", &[2, 3, 4][..]),
        ("--tenant a:k=v --tenant b", &[3, 5]),
        ("--mode shadow", &[2, 5]),
        ("--reason ingestion_rate --reason ingestion_burst", &[1, 2, 3]),
        ("--status 400", &[4]),
        ("--tenant a --mode enforce --status 429", &[3]),
        ("--tenant c", &[]),
    ] {
        let finished = tap(&[&replica], &format!("{flags} --since-start --for 1ms -o json"));
        assert_eq!((finished.code, &sequences(&finished)[..]), (Some(0), expected), "{flags}: {finished:?}");
    }
    for flags in ["--reason none", "--mode on", "--status x", "--count 0", "--for 0s"] {
        assert_eq!(tap(&[&replica], flags).code, Some(64), "{flags}");
    }
}

#[test]
fn further_pages_are_read_and_missed_denials_counted() {
    let (replica, requests) = replica(vec![
        page(&[of("a", 3)], Some(3)),
        page(&[of("a", 20), of("a", 19)], Some(19)),
        page(&[of("a", 18), of("a", 15)], Some(15)),
        page(&[of("a", 3)], None),
    ]);
    let finished = tap(&[&replica], "--count 4 -o json");
    assert_eq!((finished.code, &sequences(&finished)[..]), (Some(0), &[15, 18, 19, 20][..]), "{finished:?}");
    assert!(finished.err.contains("missed 13 denials of any tenant"), "{finished:?}");
    let asked: Vec<_> = requests.try_iter().skip(2).collect();
    assert_eq!(asked, ["/api/v1/denials?limit=1000&after=19", "/api/v1/denials?limit=1000&after=15"]);
}

#[test]
fn a_replica_that_stops_and_comes_back_is_named() {
    let new = page(&[of("a", 1)], None);
    let (replica, _) = replica(vec![page(&[of("a", 3)], None), Value::Null, Value::Null, new]);
    let finished = tap(&[&replica], "--count 1 -o json");
    assert_eq!((finished.code, &sequences(&finished)[..]), (Some(0), &[1][..]), "{finished:?}");
    let lines: Vec<_> = finished.err.lines().collect();
    assert_eq!(lines.len(), 3, "each failure is said once: {finished:?}");
    for (line, part) in lines.iter().zip(["503", "it answers again", "it has restarted"]) {
        assert!(line.contains(part), "{finished:?}");
    }
}

#[test]
fn a_replica_that_was_silent_at_first_tells_nothing_old() {
    let new = |sequence| {
        let mut denial = of("a", sequence);
        denial["time"] = json!("2999-11-21T10:00:00.000Z");
        denial
    };
    for (flags, expected) in [("--count 2", &[8, 9][..]), ("--since-start --count 4", &[2, 3, 8, 9])] {
        let (one, _) = replica(vec![page(&[], None)]);
        let pages = [page(&[new(9)], Some(9)), page(&[new(8), of("a", 3)], Some(3)), page(&[of("a", 2)], None)];
        let (late, _) = replica([vec![Value::Null], pages.to_vec()].concat());
        let finished = tap(&[&one, &late], &format!("{flags} -o json"));
        assert_eq!((finished.code, &sequences(&finished)[..]), (Some(0), expected), "{finished:?}");
        assert!(finished.err.contains("503") && finished.err.contains(": it answers\n"), "{finished:?}");
        // Those of 4 to 7 are not kept: they happened since the last one that is old.
        assert_eq!(finished.err.contains("missed 4 denials"), flags == "--count 2", "{finished:?}");
    }
}

#[test]
fn without_any_replica_there_is_nothing_to_tap() {
    let finished = run(&["tap", "--address", &nowhere()]);
    assert_eq!(finished.code, Some(69), "{finished:?}");
    assert!(finished.err.contains("kubectl port-forward"), "{finished:?}");
}

#[test]
fn ctrl_c_ends_it_without_an_error() {
    for name in ["INT", "TERM"] {
        let (replica, requests) = replica(vec![page(&[], None)]);
        let child = edgectl(&["tap", "--address", &replica.url]).spawn().expect("edgectl starts");
        // The second poll: by then it listens for signals.
        for _ in 0..2 {
            requests.recv_timeout(Duration::from_secs(60)).expect("a poll");
        }
        signal(&child, name);
        let finished = Finished::of(child.wait_with_output().expect("edgectl ends"));
        assert_eq!((finished.code, finished.out.as_str(), finished.err.as_str()), (Some(0), "", ""), "{name}");
    }
}
