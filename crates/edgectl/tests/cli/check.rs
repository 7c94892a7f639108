//! `edgectl check` on good, bad and missing files.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::{Finished, run, run_with_input};

const GOOD: &str = "overrides:\n  team-a: {ingestion_rate: 10}\n  team-b: {}\n  team-c: {}\n";
/// One tenant's field is not known; all others hold.
const MISSPELT: &str = "overrides:\n  team-a:\n    ingestion_rte: 10\n  team-b: {}\n  team-c: {}\n";
/// A value that Mimir can't read: it refuses the document.
const REJECTED: &str = "overrides:\n  team-a:\n    ingestion_rate: fast\n  team-b: {}\n";

/// A directory with these files.
fn files(contents: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in contents {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

/// Runs `check` in a directory with these files.
fn check(contents: &[(&str, &str)], arguments: &[&str]) -> Finished {
    let directory = files(contents);
    let mut command = crate::edgectl(&[&["check"], arguments].concat());
    Finished::of(command.current_dir(&directory).output().expect("edgectl runs"))
}

#[test]
fn a_good_file_is_counted_and_ends_with_0() {
    let finished = check(&[("a.yaml", GOOD)], &["a.yaml"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "a.yaml: 3 tenants, 0 problems\n"), "{finished:?}");
}

#[test]
fn the_recorded_overrides_have_no_problem() {
    let finished = run(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/runtime.yaml")]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.contains(" tenants, 0 problems"), "{finished:?}");
}

#[test]
fn a_problem_names_file_line_tenant_and_field_and_ends_with_1() {
    let finished = check(&[("a.yaml", MISSPELT)], &["a.yaml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let [problem, summary] = finished.out.lines().collect::<Vec<_>>()[..] else { panic!("{finished:?}") };
    assert!(problem.starts_with("a.yaml:3: tenant team-a: "), "{problem}");
    assert!(problem.contains("ingestion_rte") && problem.contains("did you mean ingestion_rate?"), "{problem}");
    assert_eq!(summary, "a.yaml: 3 tenants, 1 problem");
}

#[test]
fn says_rejected_where_the_document_before_stays() {
    let finished = check(&[("a.yaml", REJECTED)], &["a.yaml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.starts_with("a.yaml:3: tenant team-a: "), "{finished:?}");
    assert!(
        finished.out.ends_with("\na.yaml: rejected, 1 problem; mimir-rls and Mimir keep the document they have\n"),
        "{finished:?}"
    );
}

#[test]
fn every_problem_is_one_line() {
    let finished = check(&[("a.yaml", "overrides:\n  team-a: [\n")], &["a.yaml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.out.lines().count(), 2, "{finished:?}");
    assert!(finished.out.lines().all(|line| line.starts_with("a.yaml")), "{finished:?}");
}

#[test]
fn a_file_that_is_no_text_is_rejected() {
    let finished = run_with_input(&["check", "-"], b"overrides:\n  a\xff: {}\n");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.out.starts_with("<stdin>:2: byte 14 is not UTF-8"), "{finished:?}");
    assert!(finished.out.contains("<stdin>: rejected, 1 problem"), "{finished:?}");
}

#[test]
fn a_file_that_cannot_be_read_ends_with_66_after_the_others_were_checked() {
    let finished = check(&[("a.yaml", MISSPELT), ("c.yaml", GOOD)], &["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    let lines: Vec<_> = finished.out.lines().skip(1).collect();
    assert_eq!(lines[0], "a.yaml: 3 tenants, 1 problem");
    assert!(lines[1].starts_with("b.yaml: can't be read: "), "{finished:?}");
    assert_eq!(lines[2..], ["c.yaml: 3 tenants, 0 problems"]);
}

#[test]
fn reads_standard_input() {
    let finished = run_with_input(&["check", "-"], b"team-a.ingestion_rate: \"5\"\n");
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "<stdin>: 1 tenant, 0 problems\n"), "{finished:?}");
}

#[test]
fn json_holds_the_same_verdict() {
    let finished =
        check(&[("a.yaml", MISSPELT), ("b.yaml", REJECTED)], &["-format=json", "a.yaml", "b.yaml", "none.yaml"]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    let verdict = finished.json();
    assert_eq!(verdict["problems"], json!(2));
    let outcomes: Vec<_> = verdict["files"].as_array().unwrap().iter().map(|file| &file["outcome"]).collect();
    assert_eq!(outcomes, ["accepted", "rejected", "unreadable"]);
    assert_eq!((&verdict["files"][0]["tenants"], &verdict["files"][1]["tenants"]), (&json!(3), &json!(null)));
    let problem = &verdict["files"][0]["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["tenant"], &problem["field"], &problem["severity"]),
        (&json!(3), &json!("team-a"), &json!("ingestion_rte"), &json!("ignored"))
    );
}

#[test]
fn defaults_that_cannot_be_used_are_a_problem_of_their_own() {
    let contents = [
        ("a.yaml", GOOD),
        ("defaults.yaml", "limits:\n  ingestion_rate: fast\n"),
        ("fine.yaml", "limits: {ingestion_rate: 5}\n"),
    ];
    let bad = check(&contents, &["--default-limits", "defaults.yaml", "a.yaml"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.out.starts_with("defaults.yaml:2: "), "{bad:?}");
    assert!(bad.out.contains("\ndefaults.yaml: rejected, 1 problem; mimir-rls does not start"), "{bad:?}");
    let fine = check(&contents, &["--default-limits", "fine.yaml", "a.yaml"]);
    assert_eq!((fine.code, fine.out.as_str()), (Some(0), "a.yaml: 3 tenants, 0 problems\n"), "{fine:?}");
    let missing = check(&contents, &["--default-limits", "none.yaml", "a.yaml"]);
    assert_eq!(missing.code, Some(66), "{missing:?}");
}

#[test]
fn overrides_are_judged_over_the_defaults() {
    // The override alone is fine; with these defaults the two don't fit together.
    let contents = [
        ("a.yaml", "overrides:\n  team-a: {max_label_value_length: 20}\n"),
        ("drop.yaml", "limits: {label_value_length_over_limit_strategy: drop}\n"),
    ];
    assert_eq!(check(&contents, &["a.yaml"]).code, Some(0));
    let over = check(&contents, &["--default-limits", "drop.yaml", "a.yaml"]);
    assert_eq!(over.code, Some(1), "{over:?}");
    assert!(over.out.contains("a.yaml: rejected, 1 problem"), "{over:?}");
}
