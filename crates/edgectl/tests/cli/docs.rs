//! What docs/edgectl.md and the pre-commit hook tell people to run does what they say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use limits::Code;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Faults, Stubs};
use crate::replica::{Replica, details, explanation, history, usage};
use crate::tap::denial;
use crate::{Finished, examples, run};

const DOCS: &str = include_str!("../../../../docs/edgectl.md");
/// The sections with the flags of all commands that ask mimir-rls.
const ASKING: &[&str] = &["## Asking mimir-rls", "## kubectl mimir-edge"];
/// The sections with the flags of all commands that send credentials, and of those that ask Mimir too.
const CREDENTIALS: &[&str] = &["## Credentials for Mimir"];
const ALL: &[&str] = &["## Asking mimir-rls", "## kubectl mimir-edge", "## Asking Mimir", "## Credentials for Mimir"];
/// Those of the commands that look at an installation.
const LOOKING: &[&str] = &[
    "## Asking mimir-rls",
    "## kubectl mimir-edge",
    "## Asking Mimir",
    "## Credentials for Mimir",
    "## edgectl diagnose",
];
const HOOKS: &str = include_str!("../../../../.pre-commit-hooks.yaml");

/// The text under a heading, up to the next one of its level or of any level above.
pub(crate) fn section(heading: &str) -> &'static str {
    let (_, rest) =
        DOCS.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("docs/edgectl.md has no {heading}"));
    let rest = rest.split_once("\n## ").map_or(rest, |(section, _)| section);
    if heading.starts_with("### ") { rest.split_once("\n### ").map_or(rest, |(section, _)| section) } else { rest }
}

/// The blocks of this language in a text.
pub(crate) fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    text.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The first file of the docs, and what they print of its difference from a running Mimir.
pub(crate) fn against() -> (&'static str, &'static str) {
    let first = |heading, language| *blocks(section(heading), language).first().unwrap();
    (first("### An example", "yaml"), first("### Against a running Mimir", "text"))
}

/// A folder with the files that the docs begin with.
fn example() -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in blocks(section("### An example"), "yaml") {
        let (name, text) = file.split_once('\n').unwrap();
        fs::write(folder.path().join(name.trim_start_matches("# ")), text).unwrap();
    }
    folder
}

/// Runs a script in a folder with `edgectl` on its path.
fn script(folder: &Path, text: &str) -> Finished {
    let programs = Path::new(env!("CARGO_BIN_EXE_edgectl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", text]).current_dir(folder).env("PATH", path).output().unwrap();
    Finished::of(output)
}

#[test]
fn the_table_of_codes_has_every_code_with_its_kind() {
    let rows = section("### Codes").lines().filter(|line| line.starts_with("| `MRC"));
    let listed: Vec<_> = rows.map(|row| row.split('`').skip(1).step_by(2).take(2).collect::<Vec<_>>()).collect();
    let known: Vec<_> = Code::ALL.iter().map(|code| vec![code.id(), code.name()]).collect();
    assert_eq!(listed, known, "left: docs/edgectl.md, right: crates/limits/src/code.rs");
}

#[test]
fn the_example_prints_what_the_docs_say() {
    let folder = example();
    let section = section("### An example");
    let commands = blocks(section, "sh");
    let outputs = blocks(section, "text");
    assert_eq!(commands.len(), outputs.len());
    assert!(!commands.is_empty());
    for (command, output) in commands.iter().zip(outputs) {
        assert_eq!(script(folder.path(), command).out, output, "{command}");
    }
}

/// A replica with the tenants of the docs.
fn replica() -> Replica {
    let row = |tenant: &str, mode: &str, known: bool, limits: Value| json!({ "tenant": tenant, "mode": mode, "overridden": known, "has_buckets": known, "limits": limits });
    let denials = [3, 2, 1].map(|sequence| denial(sequence, "team-a", "enforce", "ingestion_rate", 429));
    let of_a = json!({ "ingestion_rate": 1000, "ingestion_burst_size": 2000 });
    let rows = [row("team-a", "enforce", true, of_a), row("team-b", "shadow", false, json!({}))];
    let defaults = json!({ "ingestion_rate": 10_000, "ingestion_burst_size": 200_000, "request_rate": 0 });
    let usages = [usage("team-b", 200, 1_000.0, 5), usage("team-a", 91, 1_000.0, 0)];
    let histories = [history(&usages[1], 91), history(&usages[0], 200)];
    Replica::of(&[
        ("GET /api/v1/usage?limit=1000", json!({ "tenants": usages, "total": 2, "distributors": 1 })),
        ("GET /api/v1/usage/team-a", histories[0].clone()),
        ("GET /api/v1/usage/team-b", histories[1].clone()),
        ("GET /api/v1/tenants?limit=1000", json!({ "tenants": rows, "default_limits": defaults, "next": null })),
        ("GET /api/v1/tenants/team-a", details(true, 150.0)),
        ("POST /api/v1/explain?items=300", explanation(true, 150.0)),
        ("GET /api/v1/denials?limit=1", json!({ "denials": denials[2..], "next": 1 })),
        ("GET /api/v1/denials?limit=100", json!({ "denials": denials, "next": null })),
    ])
}

#[test]
fn the_answers_of_the_edge_are_those_of_the_docs() {
    let (replica, folder) = (replica(), TempDir::new().unwrap());
    let headings = ["tenants", "explain", "tap", "top", "simulate", "suggest"];
    for heading in headings.map(|command| format!("## edgectl {command}")) {
        let section = section(&heading);
        for file in blocks(section, "yaml") {
            let (name, text) = file.split_once('\n').unwrap();
            fs::write(folder.path().join(name.trim_start_matches("# ")), text).unwrap();
        }
        let (commands, outputs) = (blocks(section, "sh"), blocks(section, "text"));
        assert!(!commands.is_empty() && commands.len() == outputs.len(), "{heading}");
        for (command, output) in commands.iter().zip(outputs) {
            let finished = examples::shell(command, &replica, folder.path());
            assert_eq!(
                finished.out.replace(&replica.url, "http://127.0.0.1:9090"),
                output,
                "{command}: {}",
                finished.err
            );
        }
    }
}

#[test]
fn the_installation_of_the_docs_is_checked() {
    let broken = Faults { other_limit: true, ..Faults::default() };
    for (heading, faults, code) in
        [("## edgectl diagnose", broken, 1), ("### The health of an installation", Faults::default(), 0)]
    {
        let section = section(heading);
        let (commands, outputs) = (blocks(section, "sh"), blocks(section, "text"));
        let ([command], [output]) = (&commands[..], &outputs[..]) else {
            panic!("{heading}: one command and its output")
        };
        let finished = Stubs::start(faults).run(command);
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), *output), "{}", finished.out);
    }
}

#[test]
fn the_differences_are_those_of_the_docs() {
    let folder = example();
    let section = section("## edgectl diff");
    let (name, text) = blocks(section, "yaml")[0].split_once('\n').unwrap();
    fs::write(folder.path().join(name.trim_start_matches("# ")), text).unwrap();
    let finished = script(folder.path(), blocks(section, "sh")[0]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), blocks(section, "text")[0]), "{finished:?}");
}

#[test]
fn the_commands_for_ci_run() {
    let folder = example();
    let commands = blocks(section("### In CI"), "sh");
    assert!(!commands.is_empty());
    for command in commands {
        let finished = script(folder.path(), &format!("set -e\n{command}"));
        assert_eq!(finished.code, Some(0), "{command}: {finished:?}");
    }
}

#[test]
fn the_hook_runs_as_pre_commit_runs_it() {
    let value = |key: &str| {
        let line = HOOKS.lines().find_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix(key));
        line.and_then(|rest| rest.strip_prefix(':')).unwrap_or_else(|| panic!("no {key}")).trim()
    };
    assert_eq!((value("id"), value("language")), ("mimir-runtime-config", "system"));
    let folder = example();
    // pre-commit puts the changed files behind the entry.
    assert_eq!(script(folder.path(), &format!("{} runtime.yaml", value("entry"))).code, Some(0));
    assert!(DOCS.contains("id: mimir-runtime-config"));
}

#[test]
fn the_docs_name_every_flag_and_exit_code_of_check() {
    let help = run(&["check", "--help"]).out;
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '<']).next());
    for flag in flags.chain(["default-limits-flags"]) {
        assert!(DOCS.contains(&format!("`--{flag}")), "--{flag} is missing");
    }
    for code in ["0", "1", "2", "64", "66", "69"] {
        assert!(section("## Exit codes").contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn the_tables_of_flags_have_every_flag_of_help() {
    for (command, common) in [
        ("check", LOOKING),
        ("diagnose", LOOKING),
        ("diff", &[][..]),
        ("tenants", ASKING),
        ("explain", ASKING),
        ("tap", ASKING),
        ("top", ASKING),
        ("simulate", ASKING),
        ("suggest", ASKING),
        ("completions", &[][..]),
        ("flow-test", ALL),
        ("rollout status", &[][..]),
        ("quick-setup", CREDENTIALS),
        ("load-remote-write", CREDENTIALS),
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = run(&words);
        // A flag may have a short spelling before it: `-h, --help`.
        let flags = help.out.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let flags = flags.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
        let known: BTreeSet<&str> = flags.filter(|flag| *flag != "--help").collect();
        let own = section(&format!("## edgectl {command}"));
        let lines = own.lines().chain(common.iter().flat_map(|heading| section(heading).lines()));
        let rows = lines.filter_map(|line| line.strip_prefix("| `--"));
        let listed = rows.filter_map(|row| row.split(['`', ' ']).next());
        let listed: BTreeSet<_> = listed.map(|flag| format!("--{flag}")).filter(|flag| flag != "--help").collect();
        assert_eq!(
            listed.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            known,
            "left: docs, right: {command} --help"
        );
    }
}
