//! Every document in `testdata` against the file next to it: `bad/NAME.yaml` with the problems it gives in `NAME.err`
//! (after `NAME.before`, if there is one), `good/NAME.yaml` with the limits it gives in `NAME.txt`; edge configurations
//! likewise in `edge`.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use limits::{
    Applied, EdgeConfig, EdgeConfigState, EdgePolicy, LimitsState, Severity, Snapshot, SourceDocument, TenantLimits,
    render_cache,
};

fn cases(folder: &str) -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let files = std::fs::read_dir(&folder).expect("a folder of cases").map(|file| file.expect("a file").path());
    let mut cases: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    cases.sort();
    cases
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn apply(state: &mut LimitsState, name: &str, text: &str) -> Applied {
    state.apply(&[SourceDocument::new(name, text)])
}

fn render(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for (key, entry) in snapshot.tenants() {
        writeln!(text, "{key} ({})", entry.mode.as_str()).expect("a line");
        for (name, value) in entry.limits.differences(&snapshot.defaults().limits) {
            writeln!(text, "  {name}: {value}").expect("a line");
        }
    }
    text
}

#[test]
fn bad_documents_have_the_recorded_problems() {
    let cases = cases("bad");
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for (name, path) in cases {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        let before = path.with_extension("before");
        if before.exists() {
            assert!(apply(&mut state, &name, &read(&before)).problems.is_empty(), "{name}: before");
        }
        let good = state.current();
        let applied = apply(&mut state, &name, &read(&path));
        let reported: String = applied.problems.iter().map(|problem| format!("{problem}\n")).collect();
        assert_eq!(reported, read(&path.with_extension("err")), "{name}");
        assert!(!reported.is_empty(), "{name}");
        if applied.problems.iter().any(|problem| problem.severity == Severity::Rejected) {
            assert!(!applied.changed, "{name}");
            assert_eq!(applied.snapshot.map(|now| now.version()), good.map(|before| before.version()), "{name}");
        } else {
            assert!(applied.snapshot.is_some(), "{name}");
        }
    }
}

#[test]
fn good_documents_give_their_limits_and_no_problem() {
    let cases = cases("good");
    assert!(!cases.is_empty());
    for (name, path) in cases {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        let applied = apply(&mut state, &name, &read(&path));
        assert_eq!(applied.problems, [], "{name}");
        let limits = render(&applied.snapshot.expect("limits"));
        assert_eq!(limits, read(&path.with_extension("txt")), "{name}");
    }
}

#[test]
fn what_good_documents_give_survives_a_restart() {
    for (name, path) in cases("good") {
        let applied = apply(&mut LimitsState::new(TenantLimits::default(), false), &name, &read(&path));
        let written = applied.snapshot.expect("limits");
        let cache = render_cache(&written, None).expect("a cache");
        let restored = LimitsState::new(TenantLimits::default(), false).restore(&cache).expect(&name).limits;
        assert_eq!(restored.content_sum(), written.content_sum(), "{name}");
        assert!(restored.diff(&written).is_empty(), "{name}");
        assert_eq!(render_cache(&restored, None).as_deref(), Ok(cache.as_str()), "{name}");
    }
}

fn render_edge(config: &EdgeConfig) -> String {
    let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    let line = |name: &str, policy: &EdgePolicy| {
        let EdgePolicy { mode, limits } = policy;
        let (bytes, series) = (limit(limits.max_body_bytes), limit(limits.max_series_per_request));
        format!("{name}: {}, body bytes {bytes}, series {series}\n", mode.as_str())
    };
    let tenants = config.tenants().map(|(id, policy)| line(id.as_str(), policy));
    std::iter::once(line("(default)", config.default_policy())).chain(tenants).collect()
}

#[test]
fn bad_edge_configurations_have_the_recorded_problems() {
    let cases = cases("edge/bad");
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for (name, path) in cases {
        let mut state = EdgeConfigState::new();
        let before = path.with_extension("before");
        if before.exists() {
            assert!(state.apply(&name, &read(&before)).problems.is_empty(), "{name}: before");
        }
        let good = state.current();
        let applied = state.apply(&name, &read(&path));
        let reported: String = applied.problems.iter().map(|problem| format!("{problem}\n")).collect();
        assert_eq!(reported, read(&path.with_extension("err")), "{name}");
        assert!(!reported.is_empty(), "{name}");
        let rejected = applied.problems.iter().any(|problem| problem.severity == Severity::Rejected);
        assert_eq!(rejected, !applied.accepted, "{name}");
        assert!(!rejected || applied.config == good, "{name}");
    }
}

#[test]
fn good_edge_configurations_give_their_policies_and_no_problem() {
    let cases = cases("edge/good");
    assert!(!cases.is_empty());
    for (name, path) in cases {
        let applied = EdgeConfigState::new().apply(&name, &read(&path));
        assert_eq!(applied.problems, [], "{name}");
        assert_eq!(render_edge(&applied.config), read(&path.with_extension("txt")), "{name}");
    }
}
