//! `edgectl check` on good, bad and missing files.

use std::fs;

use limits::Code;
use serde_json::json;
use tempfile::TempDir;

use crate::{Finished, run, run_with_input};

const GOOD: &str = "overrides:\n  team-a: {ingestion_rate: 10}\n  team-b: {}\n  team-c: {}\n";
/// One tenant's field is not known. Of Mimir 3.0 it is not known which fields it has, so all others hold.
const MISSPELT: &str = "overrides:\n  team-a:\n    ingestion_rte: 10\n  team-b: {}\n  team-c: {}\n";
/// A value that Mimir can't read: it rejects the document.
const REJECTED: &str = "overrides:\n  team-a:\n    ingestion_rate: fast\n  team-b: {}\n";

/// A directory with these files.
fn files(contents: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in contents {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

const OLDER: &str = "--mimir-version=3.0";

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
fn a_problem_names_file_line_tenant_and_field() {
    let finished = check(&[("a.yaml", MISSPELT)], &[OLDER, "a.yaml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let [problem, summary] = finished.out.lines().collect::<Vec<_>>()[..] else { panic!("{finished:?}") };
    assert!(problem.starts_with("a.yaml:3: MRC") && problem.contains(": tenant team-a: "), "{problem}");
    assert!(problem.contains("ingestion_rte") && problem.contains("did you mean ingestion_rate?"), "{problem}");
    assert_eq!(summary, "a.yaml: 3 tenants, 1 problem");
}

#[test]
fn says_rejected_where_the_document_before_stays() {
    let finished = check(&[("a.yaml", REJECTED)], &["a.yaml"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.out.starts_with("a.yaml:3: MRC"), "{finished:?}");
    assert!(
        finished.out.ends_with("\na.yaml: rejected, 1 problem; mimir-rls and Mimir keep the document they have\n"),
        "{finished:?}"
    );
}

#[test]
fn a_problem_is_one_line_and_one_of_mimirs_words() {
    let finished = check(&[("a.yaml", "overrides:\n  team-a: [\n")], &["a.yaml"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let lines: Vec<_> = finished.out.lines().collect();
    assert_eq!(lines.len(), 3, "{finished:?}");
    assert!(lines[0].starts_with("a.yaml:2: MRC0005 bad-syntax: "), "{finished:?}");
    assert!(lines[1].starts_with("  Mimir: unmarshal \"a.yaml\": yaml: "), "{finished:?}");
    let json = check(&[("a.yaml", "overrides:\n  team-a: [\n")], &["--format=json", "a.yaml"]).json();
    let words = json["files"][0]["problems"][0]["mimir"].as_str().unwrap();
    assert_eq!(lines[1].trim_start(), format!("Mimir: {words}"));
}

#[test]
fn a_file_that_is_no_text_is_rejected() {
    let finished = run_with_input(&["check", "-"], b"overrides:\n  a\xff: {}\n");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.out.contains("UTF-8"), "{finished:?}");
    assert!(finished.out.contains("<stdin>: rejected, 1 problem"), "{finished:?}");
}

#[test]
fn an_unreadable_file_ends_with_66_after_the_others() {
    let finished = check(&[("a.yaml", MISSPELT), ("c.yaml", GOOD)], &[OLDER, "a.yaml", "b.yaml", "c.yaml"]);
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
        check(&[("a.yaml", MISSPELT), ("b.yaml", REJECTED)], &[OLDER, "-format=json", "a.yaml", "b.yaml", "none.yaml"]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    let verdict = finished.json();
    assert_eq!(verdict["problems"], json!(2));
    let outcomes: Vec<_> = verdict["files"].as_array().unwrap().iter().map(|file| &file["outcome"]).collect();
    assert_eq!(outcomes, ["accepted", "rejected", "unreadable"]);
    assert_eq!((&verdict["files"][0]["tenants"], &verdict["files"][1]["tenants"]), (&json!(3), &json!(null)));
    let problem = &verdict["files"][0]["problems"][0];
    let (code, kind) = (problem["code"].as_str().unwrap(), problem["kind"].as_str().unwrap());
    assert!(Code::from_id(code).is_some_and(|code| code.name() == kind), "{problem}");
    assert_eq!((&problem["document"], verdict["files"][0].get("limits")), (&json!("a.yaml"), None));
    assert_eq!(
        (&problem["line"], &problem["tenant"], &problem["field"], &problem["severity"]),
        (&json!(3), &json!("team-a"), &json!("ingestion_rte"), &json!("ignored"))
    );
}

#[test]
fn shown_limits_are_values_of_json() {
    let document = "\
overrides:
  team-a:
    ingestion_rate: .inf
    request_rate: 0.5
    creation_grace_period: 1h
    drop_labels: [x]
    metric_relabel_configs: [{action: drop, source_labels: [a], regex: b}]
  team-b: {}
  team-c: null
";
    let arguments = ["--show", "--default-limits-flags=-distributor.ingestion-rate-limit=7", "--format=json", "a.yaml"];
    let finished = check(&[("a.yaml", document)], &arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let run = finished.json();
    let limits = &run["files"][0]["limits"];
    let of_a = &limits["team-a"];
    assert_eq!(
        (&of_a["ingestion_rate"], &of_a["request_rate"], &of_a["ingestion_burst_size"]),
        (&json!("+Inf"), &json!(0.5), &json!(200_000))
    );
    assert_eq!((&of_a["creation_grace_period"], &of_a["drop_labels"]), (&json!("1h"), &json!(["x"])));
    assert_eq!(of_a["metric_relabel_configs"][0]["action"], json!("drop"));
    assert_eq!(limits["team-b"]["ingestion_rate"], json!(7));
    assert_eq!(limits["team-b"], run["default_limits"]);
}

#[test]
fn yaml_and_text_show_the_same_limits() {
    let file = [("a.yaml", GOOD)];
    let yaml = check(&file, &["--show", "--format=yaml", "a.yaml"]);
    assert_eq!(yaml.code, Some(0), "{yaml:?}");
    for line in ["problems: 0", "    file: \"a.yaml\"", "      \"team-a\":", "        ingestion_rate: 10"] {
        assert!(yaml.out.lines().any(|printed| printed == line), "{line} is missing: {}", yaml.out);
    }
    let text = check(&file, &["--show", "a.yaml"]);
    assert!(text.out.starts_with("a.yaml: 3 tenants, 0 problems\n  \"team-a\":\n"), "{text:?}");
    assert!(text.out.contains("\n    ingestion_rate: 10\n"), "{text:?}");
}

#[test]
fn merged_files_are_one_configuration() {
    let files =
        [("a.yaml", GOOD), ("b.yaml", "overrides:\n  team-a: {request_rate: 3}\n  team-d: {ingestion_rate: 4}\n")];
    let apart = check(&files, &["a.yaml", "b.yaml"]);
    assert_eq!(apart.out, "a.yaml: 3 tenants, 0 problems\nb.yaml: 2 tenants, 0 problems\n");
    let merged = check(&files, &["--merge", "--show", "--format=json", "a.yaml", "b.yaml"]);
    assert_eq!(merged.code, Some(0), "{merged:?}");
    let file = &merged.json()["files"][0];
    assert_eq!((&file["file"], &file["tenants"]), (&json!("a.yaml,b.yaml"), &json!(4)));
    let of_a = &file["limits"]["team-a"];
    assert_eq!((&of_a["ingestion_rate"], &of_a["request_rate"]), (&json!(10), &json!(3)));
    let missing = check(&files, &["--merge", "a.yaml", "none.yaml"]);
    assert_eq!(missing.code, Some(66), "{missing:?}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let large = " ".repeat((16 << 20) + 1);
    let finished = check(&[("a.yaml", &large)], &["a.yaml"]);
    assert_eq!(finished.code, Some(66), "{finished:?}");
    assert!(finished.out.contains("16777216 bytes"), "{finished:?}");
}

#[test]
fn bad_flags_of_mimir_are_a_problem_of_their_own() {
    let finished = check(
        &[("a.yaml", GOOD)],
        &[
            "--default-limits-flags",
            "-distributor.ingestion-rate-limit=fast -distributor.ingestion-burst-size",
            "a.yaml",
        ],
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(
        finished.out,
        "--default-limits-flags: MRC0031 bad-value: -distributor.ingestion-rate-limit is \"fast\": write a number such as 10000\n\
         --default-limits-flags: MRC0031 bad-value: -distributor.ingestion-burst-size has no value: write -distributor.ingestion-burst-size=VALUE\n\
         --default-limits-flags: rejected, 2 problems; mimir-rls does not start with these defaults\n"
    );
}

#[test]
fn unusable_defaults_are_a_problem_of_their_own() {
    let contents = [
        ("a.yaml", GOOD),
        ("defaults.yaml", "limits:\n  ingestion_rate: fast\n"),
        ("fine.yaml", "limits: {ingestion_rate: 5}\n"),
    ];
    let bad = check(&contents, &["--default-limits", "defaults.yaml", "a.yaml"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
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
    assert_eq!(over.code, Some(2), "{over:?}");
    assert!(over.out.contains("a.yaml: rejected, 1 problem"), "{over:?}");
}
