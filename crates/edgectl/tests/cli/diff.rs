//! `edgectl diff`: which limits differ, and how it ends if documents cannot be compared.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::{Finished, edgectl};

const OLD: &str = "\
overrides:
  team-a: {ingestion_rate: 50000, ingestion_burst_size: 500000}
  team-b: {request_rate: 5}
  team-c: {}
";
const NEW: &str = "\
# Order, comments and spelling make no difference.
overrides:
  team-d: {drop_labels: [x], out_of_order_time_window: 5m}
  team-c: {ingestion_rate: 10000}
  team-a: {ingestion_burst_size: 500000, ingestion_rate: 60000}
";

/// Runs `diff` in a folder with these files.
fn diff(files: &[(&str, &str)], arguments: &[&str]) -> Finished {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = edgectl(&[&["diff"], arguments].concat());
    Finished::of(command.current_dir(&folder).output().unwrap())
}

#[test]
fn each_limit_that_differs_is_a_row() {
    let finished = diff(&[("old.yaml", OLD), ("new.yaml", NEW)], &["old.yaml", "new.yaml"]);
    let expected = "\
TENANT  OVERRIDE  LIMIT                     OLD    NEW
team-a  changed   ingestion_rate            50000  60000
team-b  removed   request_rate              5      0
team-d  added     drop_labels               []     [\"x\"]
team-d  added     out_of_order_time_window  0s     5m
4 limits of 3 tenants
";
    assert_eq!((finished.code, finished.out.as_str(), finished.err.as_str()), (Some(1), expected, ""));
}

#[test]
fn programs_get_values_with_their_types() {
    let files = [("old.yaml", OLD), ("new.yaml", "overrides: {team-a: {ingestion_rate: .inf}}")];
    let json = diff(&files, &["old.yaml", "new.yaml", "-o", "json"]).json();
    assert_eq!(json["differences"], json!(3));
    let of_a = &json["tenants"][0];
    assert_eq!((&of_a["tenant"], &of_a["override"]), (&json!("team-a"), &json!("changed")));
    let rate = json!({ "field": "ingestion_rate", "old": 50000, "new": "+Inf" });
    let burst = json!({ "field": "ingestion_burst_size", "old": 500_000, "new": 200_000 });
    assert_eq!(of_a["limits"], json!([burst, rate]));
    let yaml = diff(&files, &["old.yaml", "new.yaml", "-o", "yaml"]);
    assert_eq!(yaml.code, Some(1), "{yaml:?}");
    assert!(yaml.out.starts_with("differences: 3\ntenants:\n"), "{yaml:?}");
}

#[test]
fn a_limit_that_becomes_the_default_differs_only_from_others() {
    let files = [
        ("old.yaml", "overrides: {team-a: {ingestion_rate: 7}, team-b: {ingestion_rate: 8}}"),
        ("new.yaml", "overrides: {team-b: {}}"),
        ("mimir.yaml", "limits: {ingestion_rate: 7}"),
    ];
    let finished = diff(&files, &["--default-limits", "mimir.yaml", "old.yaml", "new.yaml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.contains("\nteam-b  changed   ingestion_rate  8    7\n1 limit of 1 tenant\n"), "{finished:?}");
    let same = diff(&files, &["old.yaml", "old.yaml"]);
    assert_eq!((same.code, same.out.as_str()), (Some(0), "no limit differs\n"), "{same:?}");
}

#[test]
fn documents_that_cannot_be_compared_say_why() {
    let files = [
        ("good.yaml", OLD),
        ("rejected.yaml", "overrides: {team-a: {ingestion_rate: fast}}"),
        ("mimir.yaml", "limits: {ingestion_rate: fast}"),
        ("misspelt.yaml", "overrides: {team-a: {ingestion_rte: 1}, team-b: {}, team-c: {}}"),
    ];
    for (arguments, code, part) in [
        (&["good.yaml", "rejected.yaml"][..], 2, "rejected.yaml: rejected, 1 problem"),
        (&["none.yaml", "rejected.yaml"], 66, "none.yaml: can't be read"),
        (&["--default-limits", "mimir.yaml", "good.yaml", "good.yaml"], 2, "mimir.yaml: rejected"),
        (&["-", "-"], 64, "standard input can be read only once"),
        (&["good.yaml"], 64, "<NEW>"),
    ] {
        let finished = diff(&files, arguments);
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), ""), "{arguments:?}: {finished:?}");
        assert!(finished.err.contains(part), "{arguments:?}: {finished:?}");
    }
    let warned = diff(&files, &["--mimir-version=3.0", "good.yaml", "misspelt.yaml"]);
    assert_eq!(warned.code, Some(1), "{warned:?}");
    assert!(
        warned.err.contains("ingestion_rte") && warned.out.contains("team-b  changed   request_rate"),
        "{warned:?}"
    );
}
