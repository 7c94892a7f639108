//! `edgectl explain`: what is sent, whose answer counts, and the exit code.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::replica::{Replica, explanation};
use crate::{run, run_with_input};

const ITEMS: &str = "POST /api/v1/explain?items=300";

#[test]
fn a_denial_of_the_tenants_replica_counts() {
    let replicas =
        [Replica::of(&[(ITEMS, explanation(false, 2000.0))]), Replica::of(&[(ITEMS, explanation(true, 50.0))])];
    let addresses = replicas.each_ref().map(|replica| replica.url.as_str()).join(",");
    let arguments = ["explain", "team-a", "--items", "300", "--address", &addresses];
    let denied = run(&arguments);
    let expected = format!(
        "\
tenant    team-a
mode      enforce
decision  deny (ingestion_rate, status 429)
limit     ingestion_rate 1000/s, burst 2000
passes    in 0.3 s
push      300 items: 300 samples
replica   {} has its buckets

BUCKET     RATE       BURST  CAPACITY  TOKENS  FILL   COST  PASSES
request    unlimited  -      -         -       -      1     now
ingestion  1000/s     2000   2000      50      2.5 %  300   in 0.3 s

the request has been rejected
",
        replicas[1].url
    );
    assert_eq!((denied.code, denied.out.as_str()), (Some(1), expected.as_str()), "{}", denied.err);
    let json = run(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(
        (json.code, &json.json()["decision"], &json.json()["replica"]),
        (Some(1), &json!("deny"), &json!(replicas[1].url))
    );
    assert_eq!(replicas[0].asked()[0].headers["x-scope-orgid"], "team-a");
}

#[test]
fn a_push_that_passes_ends_with_0() {
    let replica = Replica::of(&[("POST /api/v1/explain?items=1", explanation(false, 2000.0))]);
    let allowed = run(&["explain", "team-a", "--address", &replica.url]);
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    assert!(allowed.out.contains("\ndecision  allow (within_limits)\npasses    now\n"), "{allowed:?}");
    assert!(allowed.out.contains("no replica that answered has buckets of it"), "{allowed:?}");
}

#[test]
fn a_body_is_sent_with_its_headers() {
    let replica = Replica::of(&[("POST /api/v1/explain", explanation(true, 2000.0))]);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("push.snappy");
    fs::write(&path, b"\x00body").unwrap();
    let path = path.display().to_string();
    let common =
        ["explain", "a:k=v", "--address", &replica.url, "--header", "Content-Type: a/b", "--header=Retry-Attempt:3"];
    assert_eq!(run(&[&common[..], &["--body", &path]].concat()).code, Some(0));
    assert_eq!(run_with_input(&[&common[..], &["--body", "-"]].concat(), b"\x00body").code, Some(0));
    for asked in replica.asked() {
        assert_eq!(asked.body.as_ref(), b"\x00body");
        let header = |name| asked.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(
            (header("x-scope-orgid"), header("content-type"), header("retry-attempt")),
            (Some("a:k=v"), Some("a/b"), Some("3"))
        );
    }
    assert_eq!(replica.asked().len(), 2);
}

#[test]
fn a_body_that_is_none_is_not_sent() {
    let replica = Replica::of(&[]);
    let at = ["explain", "team-a", "--address", &replica.url];
    for (more, code, part) in [
        (&["--body", "none"][..], 66, "--body none: "),
        (&["--body", "/dev/null"], 66, "it is empty; --items"),
        (&["--body", "/dev/zero"], 66, "more than the 67108864 bytes"),
        (&["--body", "-", "--items", "5"], 64, "--items"),
        (&["--header", "nonsense"], 64, "NAME:VALUE"),
    ] {
        let finished = run(&[&at[..], more].concat());
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.err.contains(part), "{part}: {finished:?}");
    }
    assert!(replica.asked().is_empty());
}
