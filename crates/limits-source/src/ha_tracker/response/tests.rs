use super::*;

/// As a Mimir of April 2026 wrote it.
const RECORDED: &str = concat!(
    r#"{"elected":[{"userID":"ha","cluster":"c/2 \u003c\"\u0026\\\u003e","replica":"a","lastElectionTime":"2026-11-21T12:43:54.441Z","#,
    r#""electedLastSeenTime":"2026-11-21T12:44:54.002Z","updateDuration":14954084513,"failoverDuration":29954084413},"#,
    r#"{"userID":"ha","cluster":"cé\u2028","replica":"a\ufffd","lastElectionTime":"2026-11-21T12:43:54.443Z","#,
    r#""electedLastSeenTime":"2026-11-21T12:43:54.443Z","updateDuration":-6650087481,"failoverDuration":8349912418},"#,
    r#"{"userID":"ha","cluster":"d","replica":"a�","lastElectionTime":"2026-11-21T12:44:16.054Z","#,
    r#""electedLastSeenTime":"2026-11-21T12:44:16Z","updateDuration":14960910946,"failoverDuration":29960910846}],"#,
    r#""now":"2026-11-21T12:44:16.093091879Z"}"#,
);

fn entry(fields: &str) -> String {
    format!(
        r#"{{"userID":"t","cluster":"c","replica":"r","lastElectionTime":"1970-01-01T00:00:00Z","electedLastSeenTime":"1970-01-01T00:00:01Z"{fields}}}"#
    )
}

fn read_list(entries: &[String]) -> ListedReplicas {
    let json = format!(r#"{{"elected":[{}]}}"#, entries.join(","));
    read(json.as_bytes()).unwrap_or_else(|error| unreachable!("{error}: {json}"))
}

#[test]
fn a_response_of_mimir_is_read_name_by_name() {
    let listed = read(RECORDED.as_bytes()).unwrap();
    let elected = |cluster: &str, replica: &str, elected_at, received_at| ElectedReplica {
        tenant: "ha".into(),
        cluster: cluster.into(),
        replica: replica.into(),
        received_at,
        elected_at,
    };
    let expected = [
        elected("c/2 <\"&\\>", "a", 1_795_265_034_441, 1_795_265_094_002),
        elected("d", "a\u{fffd}", 1_795_265_056_054, 1_795_265_056_000),
    ];
    assert_eq!(listed.elected, expected);
    assert_eq!(listed.unreadable, 1, "a\\ufffd is ambiguous");
    assert!(listed.first_fault.is_some_and(|fault| fault.contains("replica is not UTF-8")));
}

#[test]
fn no_election_at_all_is_an_empty_list() {
    for json in [r#"{"elected":null,"now":"2026-11-21T12:43:54.147957049Z"}"#, r#"{"elected":[]}"#] {
        assert_eq!(read(json.as_bytes()), Ok(ListedReplicas::default()), "{json}");
    }
}

#[test]
fn an_unreadable_entry_leaves_the_other_entries_intact() {
    #[track_caller]
    fn check(bad: &str, fault: &str) {
        let listed = read_list(&[entry(""), bad.to_owned(), entry(r#","future":[{}]"#)]);
        assert_eq!((listed.elected.len(), listed.unreadable), (2, 1), "{bad}");
        let error = listed.first_fault.unwrap_or_default();
        assert!(error.contains(fault) && error.len() < 4 * FAULT_CHARACTERS, "{bad}: {error}");
    }
    check("{}", "missing field `userID`");
    check("null", "null");
    check("[]", "invalid length");
    check("7", "invalid type");
    check(&entry("").replace(r#""r""#, "7"), "invalid type: integer `7`");
    check(&entry("").replace(r#""r""#, r#""""#), "replica is empty");
    check(&entry("").replace(r#""c""#, r#""""#), "cluster is empty");
    check(&entry("").replace(r#""t""#, r#""""#), "userID is empty");
    check(&entry("").replace(r#""c""#, r#""c\ufffd""#), "cluster is not UTF-8");
    check(&entry("").replace("cluster", "group"), "missing field `cluster`");
    check(&entry("").replace("lastElectionTime", "last"), "missing field `lastElectionTime`");
    check(&entry("").replace("00:00:00Z", "soon"), "lastElectionTime is no time in UTC");
    check(&entry("").replace("00:00:01Z", "00:00:01+01:00"), "electedLastSeenTime is no time in UTC");
    check(&entry("").replace("1970-01-01T00:00:01Z", "0001-01-01T00:00:00Z"), "electedLastSeenTime is no time in UTC");
    check(&format!("\"{}\"", "long".repeat(10_000)), "invalid type: string \"longlong");
}

#[test]
fn what_is_no_list_is_no_response() {
    for json in
        ["", "null", "{}", "[]", r#"{"elected":{}}"#, r#"{"elected":"a"}"#, "<html>", r#"{"elected":[{}"#, "\u{fffd}"]
    {
        assert!(read(json.as_bytes()).is_err(), "{json}");
    }
    assert!(read(b"{\"elected\":[{\"cluster\":\"\xff\"}]}").is_err());
    let deep = format!(r#"{{"elected":[{}"#, "[".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err(), "its depth is bounded");
}

#[test]
fn an_overlong_list_is_rejected_the_longest_allowed_is_not() {
    let json = |entries: usize| format!(r#"{{"elected":[{}{{}}]}}"#, "{},".repeat(entries - 1));
    assert_eq!(read(json(MAX_ENTRIES).as_bytes()).map(|listed| listed.unreadable), Ok(MAX_ENTRIES));
    let error = read(json(MAX_ENTRIES + 1).as_bytes()).unwrap_err();
    assert!(error.contains("more than 250000 elected replicas"), "{error}");
}
