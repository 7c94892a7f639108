//! Command lines and what becomes of them.

use std::time::Duration;

use clap::CommandFactory;

use super::{Cli, Command, Format, LoadArgs, Output, Profile, parse};
use crate::load::Protocol;

fn arguments(line: &str) -> impl Iterator<Item = std::ffi::OsString> {
    std::iter::once("edgectl").chain(line.split_whitespace()).map(Into::into).collect::<Vec<_>>().into_iter()
}

#[track_caller]
fn load(line: &str) -> LoadArgs {
    match parse(arguments(&format!("load-remote-write {line}"))) {
        Ok(Command::LoadRemoteWrite(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn reject(line: &str, part_of_message: &str) {
    let error = parse(arguments(line)).expect_err(line);
    assert!(error.use_stderr(), "{line}: not an error");
    assert!(error.to_string().contains(part_of_message), "{line}: {error}");
}

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn load_has_defaults_for_everything() {
    let config = load("");
    assert_eq!(config.url.to_string(), "http://127.0.0.1:8080/api/v1/push");
    assert!(config.named_tenants.is_empty() && config.tenants.is_none() && config.headers.is_empty());
    assert_eq!((config.concurrency, config.series, config.samples_per_series), (None, 100, 1));
    assert_eq!(config.profile, Profile::Steady);
    assert_eq!((config.duration, config.timeout), (Duration::from_secs(10), Duration::from_secs(10)));
    assert_eq!((config.rate, config.protocol), (None, Protocol::V1));
    assert!(!config.json && !config.progress);
}

#[test]
fn one_dash_and_two_dashes_say_the_same() {
    let guide = load(
        "-url=http://edge:1/push -tenant a -tenant=b -concurrency 4 -duration=1m30s -rate 0.5 -json -protocol 2.0",
    );
    let posix = load(
        "--url http://edge:1/push --tenant a --tenant b --concurrency=4 --duration 90s --rate=0.5 --json --protocol=2.0",
    );
    assert_eq!(format!("{guide:?}"), format!("{posix:?}"));
    assert_eq!(guide.named_tenants, ["a", "b"]);
    assert_eq!((guide.rate, guide.protocol, guide.json), (Some(0.5), Protocol::V2, true));
}

#[test]
fn a_header_keeps_its_colons() {
    let config = load("--header X-Scope-OrgID:a:k=v --header accept:");
    let headers: Vec<_> = config.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("x-scope-orgid", "a:k=v"), ("accept", "")]);
}

#[test]
fn rejects_what_makes_no_sense() {
    reject("", "Usage:");
    reject("loads", "unrecognized subcommand");
    reject("load-remote-write --rate -1", "unexpected argument '-1'");
    reject("load-remote-write --rate=-1", "from 0 to 1e12");
    reject("load-remote-write --rate NaN", "from 0 to 1e12");
    reject("load-remote-write --rate fast", "a number of samples per second");
    reject("load-remote-write --concurrency 0", "0 is not in 1..=10000");
    reject("load-remote-write --series 0", "0 is not in 1..");
    reject("load-remote-write --series 100000 --samples-per-series 101", "10100000 samples in one push");
    reject("load-remote-write --profile burst", "needs a --rate");
    reject("load-remote-write --burst-pushes 0", "from 1 to 10000");
    reject("load-remote-write --retries 0", "0 is not in 1..=1000");
    reject("load-remote-write --tenants 100001", "100001 is not in 1..=100000");
    reject("load-remote-write --tenants 5 --tenant a", "cannot be used with --tenant");
    reject("load-remote-write --duration 30", "needs a unit");
    reject("load-remote-write --duration 0", "longer than 0");
    reject("load-remote-write --url edge:8080/push", "must begin with http://");
    reject("load-remote-write --protocol 3.0", "[possible values: 1.0, 2.0]");
    reject("load-remote-write --header nocolon", "must be NAME:VALUE");
    reject("load-remote-write --header b\u{e4}d:x", "is no header name");
    reject("check --pre a.yaml", "cannot be used with");
    reject("check --wait 5m a.yaml", "cannot be used with");
    reject("check --merge", "required");
    reject("check --front http://edge:8080", "must end with the path of pushes");
    reject("diagnose --configmap mimir-runtime", "--configmap");
    reject("diagnose a.yaml", "unexpected argument");
    reject("check --format xml a.yaml", "[possible values: text, json, yaml]");
    reject("check - -", "standard input can be read only once");
    reject("check --mimir-version three a.yaml", "is no version of Mimir");
    reject("check --against mimir:8080 a.yaml", "must begin with http://");
    reject("check --default-limits-url http://m --default-limits d.yaml a.yaml", "leave out --default-limits");
    reject("check --default-limits-expand-env a.yaml", "--default-limits-expand-env");
    reject("check -unknown a.yaml", "unexpected argument '-u'");
}

#[test]
fn no_error_repeats_the_secret_of_a_url_or_header() {
    for line in [
        "load-remote-write --url http://user:hunter2@edge:8080/push",
        "load-remote-write --url http://user:hunter/hunter2@edge/push",
        "check --front http://user:hunter2@edge:8080/push",
        "rollout status --phase full --prometheus http://user:hunter2@prometheus:9090",
        "load-remote-write --header hunter2",
        "load-remote-write --header Bearer=hunter2:x",
        "rollout status --phase full --header Authorization:hunter2\u{7f}",
        "explain a --header Authorization:hunter2\u{7f}",
    ] {
        let error = parse(arguments(line)).expect_err(line).to_string();
        let flag = line.split_whitespace().rev().nth(1).expect(line);
        assert!(error.contains(flag) && !error.contains("hunter2"), "{error}");
    }
    let shown = format!("{:?}", load("--header Authorization:hunter2").headers);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn check_takes_files_and_standard_input() {
    let Ok(Command::Check(check)) = parse(arguments("check -default-limits=d.yaml -format json a.yaml -")) else {
        panic!("not a check");
    };
    assert_eq!(check.files, [std::path::PathBuf::from("a.yaml"), "-".into()]);
    assert_eq!(check.defaults.file, Some("d.yaml".into()));
    assert_eq!(check.format(), Format::Json);
}

#[test]
fn output_and_format_of_check_mean_the_same() {
    for line in ["check -o json a.yaml", "check --format json a.yaml", "check --format json", "check -o json"] {
        let Ok(Command::Check(check)) = parse(arguments(line)) else { panic!("{line}") };
        assert_eq!((check.format(), check.output()), (Format::Json, Output::Json), "{line}");
    }
}

#[test]
fn the_examples_of_check_and_diagnose_are_good_usage() {
    for subcommand in ["check", "diagnose"] {
        let help = parse(arguments(&format!("{subcommand} --help"))).expect_err("help").to_string();
        let (_, examples) = help.split_once("\nExamples:\n").unwrap();
        let (examples, _) = examples.split_once("\n\n").unwrap();
        let examples = examples.replace("\\\n", " ");
        let lines: Vec<_> = examples.lines().filter_map(|line| line.trim().strip_prefix("edgectl ")).collect();
        assert!(lines.len() > 3, "{examples}");
        for line in lines {
            assert!(parse(arguments(line)).is_ok(), "{line}");
        }
    }
}

#[test]
fn help_names_units_defaults_examples_and_exit_codes() {
    let help = |line: &str| parse(arguments(line)).expect_err(line).to_string();
    let load = help("load-remote-write --help");
    for part in
        ["[default: 10s]", "[default: 100]", "Examples:", "Exit codes:", "per second", "`elapsed_seconds` is the time"]
    {
        assert!(load.contains(part), "{part} is missing in {load}");
    }
    let check = help("check --help");
    for part in ["[default: text]", "Examples:", "Exit codes:", "standard input"] {
        assert!(check.contains(part), "{part} is missing in {check}");
    }
    assert!(help("--help").contains("66  a file or a page of Mimir can't be read"));
}

#[test]
fn every_example_of_help_is_a_command_line() {
    for command in ["load-remote-write", "flow-test", "rollout status", "quick-setup"] {
        let help = parse(arguments(&format!("{command} --help"))).expect_err(command).to_string();
        let (_, examples) = help.split_once("Examples:\n").expect(command);
        let (examples, _) = examples.split_once("\n\n").expect(command);
        let examples = examples.replace("\\\n", " ");
        assert!(examples.lines().count() > 2, "{examples}");
        for line in examples.lines().map(str::trim) {
            let line = line.strip_prefix("edgectl ").expect(line);
            assert!(line.starts_with(command), "{line}");
            parse(arguments(line)).expect(line);
        }
    }
}

#[test]
fn what_a_rollout_needs_is_said() {
    reject("flow-test", "give its address with --mimir");
    reject("flow-test --mimir mimir:8080", "--mimir <URL>: it must begin with http://");
    reject("flow-test --mimir http://m --phase full --share 5", "--share is for --phase canary");
    reject("flow-test --mimir http://m --phase canary --share 101", "from 0 to 100");
    reject("rollout status", "--phase <PHASE>");
    reject("rollout", "Usage: edgectl rollout");
    reject("rollout status --phase full --prometheus http://p?x=1", "takes no parameters");
    reject("quick-setup --mode off", "enforce or shadow");
}
