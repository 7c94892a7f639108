//! Values of every kind, with what the real Mimir does with each (`testdata/schema/probes.tsv`).

use std::collections::HashMap;
use std::fmt::Write;

use super::*;

/// The values of a kind, and whether Mimir takes them.
type Probes = HashMap<&'static str, Vec<(bool, &'static str)>>;

fn probes() -> Probes {
    let mut probes = Probes::new();
    let lines = include_str!("../../../testdata/schema/probes.tsv").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.splitn(3, '\t').collect();
        let [kind, verdict, value] = columns.as_slice() else { panic!("{line}") };
        probes.entry(kind).or_default().push((*verdict == "accepted", value));
    }
    probes
}

/// A document with this value where the path leads.
fn document(path: &str, value: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for push_path in path.split('.') {
        let indent = |depth: usize| "  ".repeat(depth);
        let name = push_path.trim_end_matches("{}").trim_end_matches("[]");
        write!(text, "\n{}{name}:", indent(depth)).expect("a text");
        depth += 1;
        if push_path.ends_with("{}") {
            write!(text, "\n{}k:", indent(depth)).expect("a text");
            depth += 1;
        } else if push_path.ends_with("[]") {
            write!(text, "\n{}-", indent(depth)).expect("a text");
            depth += 1;
        }
    }
    format!("{text} {value}")
}

#[test]
fn every_field_takes_what_it_takes_in_mimir() {
    let probes = probes();
    let mut count = 0;
    for line in include_str!("../mimir-3.1.tsv").lines().filter(|line| !line.starts_with('#')) {
        let (path, kind) = line.split_once('\t').expect(line);
        let kind = kind.split('\t').next().unwrap_or(kind);
        let Some(values) = probes.get(if kind == "int64" { "int" } else { kind }) else {
            assert!(path == "overrides", "{path}");
            continue;
        };
        for (accepted, value) in values.iter().filter(|_| path != ".") {
            let text = document(path, value);
            // Rules look at more than a value's kind.
            let found = checked(&text).faults.into_iter().find(|fault| fault.code != Code::BrokenRule);
            assert_eq!(found.is_none(), *accepted, "{text}\n{found:?}");
            count += 1;
        }
    }
    assert!(count > 15_000, "{count}");
}
