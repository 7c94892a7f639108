//! `testdata/relabel.jsonl`: random rules run by Prometheus' `relabel.ProcessBuilder` in the copy that Mimir uses, between
//! the lines that Mimir's `prePushRelabelMiddleware` and `prePushSortAndFilterMiddleware` have around it. The tenant is
//! `tenant-1`; labels are Latin-1, a character a byte. A rule without `regex` has Prometheus' default.

use super::*;
use serde_json::Value;

#[test]
fn rules_make_of_labels_what_mimirs_code_makes() {
    let rows = include_str!("../../testdata/relabel.jsonl").lines();
    let mut seen = (0, 0);
    for row in rows.map(|row| serde_json::from_str::<Value>(row).unwrap()) {
        let kept = check(&row);
        seen = if kept { (seen.0 + 1, seen.1) } else { (seen.0, seen.1 + 1) };
    }
    assert!(seen.0 >= 200 && seen.1 >= 80, "only {seen:?} rows were recorded");
}

#[track_caller]
fn check(row: &Value) -> bool {
    let scheme = if row["scheme"] == "utf8" { NameScheme::Utf8 } else { NameScheme::Legacy };
    let rules = row["rules"].as_array().unwrap().iter().map(rule).collect();
    let limits = limits(rules, &texts(&row["drop"]), scheme);
    let expected = (row["kept"] == true).then(|| labels(&row["result"]));
    assert_eq!(relabelled(&limits, "tenant-1", &labels(&row["labels"])), expected, "{row}");
    expected.is_some()
}

fn rule(row: &Value) -> RelabelRule {
    let text = |name: &str| row[name].as_str().unwrap_or_default().into();
    RelabelRule {
        source_labels: texts(&row["sources"]).into_iter().map(Into::into).collect(),
        separator: text("separator"),
        target_label: text("target"),
        regex: row["regex"].as_str().map_or(RelabelRule::default().regex, Into::into),
        modulus: row["modulus"].as_u64().unwrap_or_default(),
        replacement: text("replacement"),
        action: action(row["action"].as_str().unwrap()),
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

fn labels(list: &Value) -> Labels {
    let pairs = list.as_array().into_iter().flatten();
    pairs.map(|pair| (latin_1(pair[0].as_str().unwrap()), latin_1(pair[1].as_str().unwrap()))).collect()
}

fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap()).collect()
}
