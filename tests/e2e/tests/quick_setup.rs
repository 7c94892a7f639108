//! `edgectl quick-setup` in a checkout, with a real Mimir, and with docker compose, which reads what it wrote.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::{Mimir, WatchedFile, built, repository, tool};
use serde_json::Value;
use tempfile::TempDir;

const FILES: [&str; 5] = [
    "compose.yaml",
    ".env.example",
    "ops/compose/mimir.yaml",
    "ops/compose/limits/limits.yaml",
    "ops/compose/limits/edge.yaml",
];

/// The files of a checkout that it reads.
fn checkout() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for name in FILES {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().expect("a folder")).expect("a folder can be made");
        fs::copy(repository().join(name), place).expect("a file can be copied");
    }
    folder
}

/// Runs it with these lines as the answers of an operator.
fn quick_setup(folder: &Path, arguments: &[&str], answers: &str) -> Output {
    let mut command = Command::new(built("edgectl"));
    command.arg("quick-setup").args(arguments).current_dir(folder);
    command.env_remove("MIMIR_URL").env_remove("MIMIR_QUERY_URL");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("edgectl starts");
    // It need not read all answers.
    drop(child.stdin.take().expect("a pipe").write_all(answers.as_bytes()));
    child.wait_with_output().expect("edgectl ends")
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("the file is there")
}

/// What docker compose makes of the folder and its `.env`.
fn project(folder: &Path) -> Value {
    let mut command = Command::new(tool("docker-compose"));
    command.args(["--project-directory", ".", "--file", "compose.yaml", "config", "--format", "json"]);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    let output = command.output().expect("docker compose runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("docker compose prints JSON")
}

fn environment<'p>(project: &'p Value, service: &str, name: &str) -> Option<&'p str> {
    project.pointer(&format!("/services/{service}/environment/{name}"))?.as_str()
}

#[test]
fn the_defaults_are_those_of_compose() {
    let folder = checkout();
    let before = project(folder.path());
    let said = ok(&quick_setup(folder.path(), &["--yes"], ""));
    assert!(
        said.contains("written    .env\n") && said.contains("unchanged  ops/compose/limits/limits.yaml\n"),
        "{said}"
    );
    assert!(said.contains("  docker compose up --build\n"), "{said}");
    assert_eq!(text(folder.path(), ".env"), text(folder.path(), ".env.example"));
    assert_eq!(project(folder.path()), before);
    let again = ok(&quick_setup(folder.path(), &["--yes"], ""));
    assert!(again.contains("unchanged  .env\n"), "{again}");
}

#[test]
fn the_answers_of_an_operator_become_files() {
    let folder = checkout();
    let limits =
        WatchedFile::of("overrides: { team-a: { ingestion_rate: 500, ingestion_burst_size: 5000 }, team-b: {} }");
    let mimir = Mimir::start(&folder.path().join("mimir"), &limits.path());
    let url = format!("http://127.0.0.1:{}", mimir.port());
    // The second address is no answer, so it is asked again. The mode is the default.
    let answers = format!("compose\nmimir:8080\n{url}\n\nyes\nyes\n");
    let said = ok(&quick_setup(folder.path(), &[], &answers));
    assert!(said.contains("√ Mimir answers: version ") && said.contains("it has overrides of "), "{said}");
    let project = project(folder.path());
    assert_eq!(environment(&project, "mimir-envoy", "MIMIR_URL"), Some(url.as_str()));
    assert_eq!(environment(&project, "grafana", "MIMIR_QUERY_URL"), Some(format!("{url}/prometheus").as_str()));
    assert_eq!(project.pointer("/services/mimir/scale"), Some(&Value::from(0)));
    assert!(text(folder.path(), "ops/compose/limits/edge.yaml").ends_with("\nmode: shadow\n"));
    assert_eq!(
        text(folder.path(), "ops/compose/limits/limits.yaml.before"),
        fs::read_to_string(repository().join("ops/compose/limits/limits.yaml")).expect("the file is there")
    );
    // The first of the next commands: the edge has the limits of Mimir.
    let compared = Command::new(built("edgectl"))
        .args(["check", "--against", &url, "ops/compose/limits/limits.yaml"])
        .current_dir(folder.path())
        .output()
        .expect("edgectl runs");
    let compared = ok(&compared);
    assert!(compared.contains("0 differences"), "{compared}");
}

#[test]
fn nothing_is_overwritten_without_a_yes() {
    let folder = checkout();
    fs::write(folder.path().join(".env"), "EDGE_PORT=18080\nMIMIR_URL=http://old:80\n").expect("a file can be written");
    let arguments = ["--platform=compose", "--mimir-url=http://mimir.internal:8080", "--no-check", "--mode=enforce"];
    let refused = quick_setup(folder.path(), &[&arguments[..], &["--yes"]].concat(), "");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains(".env exists; --force overwrites it"), "{refused:?}");
    let no = quick_setup(folder.path(), &arguments, "no\n");
    assert_eq!(no.status.code(), Some(1), "{no:?}");
    assert_eq!(text(folder.path(), ".env"), "EDGE_PORT=18080\nMIMIR_URL=http://old:80\n");
    let ended = quick_setup(folder.path(), &arguments, "");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("standard input has ended"), "{ended:?}");

    ok(&quick_setup(folder.path(), &[&arguments[..], &["--yes", "--force"]].concat(), ""));
    let expected = "EDGE_PORT=18080\nMIMIR_URL=http://mimir.internal:8080\nOWN_MIMIR=0\nMIMIR_QUERY_URL=http://mimir.internal:8080/prometheus\n";
    assert_eq!(text(folder.path(), ".env"), expected, "other variables stay");
    assert_eq!(text(folder.path(), ".env.before"), "EDGE_PORT=18080\nMIMIR_URL=http://old:80\n");
}

#[test]
fn a_mimir_without_an_answer_writes_nothing() {
    let folder = checkout();
    let url = format!("--mimir-url=http://127.0.0.1:{}", e2e::free_port());
    let failed = quick_setup(folder.path(), &["--yes", &url], "");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(
        String::from_utf8_lossy(&failed.stdout).contains("× Mimir answers: Mimir at http://127.0.0.1"),
        "{failed:?}"
    );
    assert!(!folder.path().join(".env").exists());
    let elsewhere = quick_setup(&folder.path().join("ops"), &["--yes"], "");
    assert_eq!(elsewhere.status.code(), Some(66), "{elsewhere:?}");
}

#[test]
fn railway_gets_the_variables_of_its_two_services() {
    let folder = checkout();
    let arguments = ["--yes", "--force", "--platform=railway", "--mimir-url=https://mimir.example", "--no-check"];
    ok(&quick_setup(folder.path(), &arguments, ""));
    let page = fs::read_to_string(repository().join("docs/compose.md")).expect("the page");
    let written = text(folder.path(), "mimir-envoy.env") + &text(folder.path(), "mimir-rls.env");
    for line in written.lines() {
        let (name, value) = line.split_once('=').expect("a variable");
        let row = page.lines().find(|row| row.starts_with(&format!("| `{name}` |"))).expect(name);
        assert!(row.contains(&format!("`{value}`")) || name == "MIMIR_URL", "{line}: {row}");
    }
    assert!(written.contains("MIMIR_URL=https://mimir.example\n"), "{written}");
    let own = quick_setup(folder.path(), &["--yes", "--platform=railway"], "");
    assert_eq!(own.status.code(), Some(1), "{own:?}");
}
