//! The runbook has an entry for each alert, and the alert leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use e2e::repository;

use super::rules;

const PARTS: [&str; 4] = ["**Meaning:** ", "**Impact:** ", "**Diagnosis:** ", "**Mending:** "];

/// Each entry's text by its heading.
fn entries(page: &str) -> BTreeMap<&str, &str> {
    page.split("\n## ").skip(1).map(|entry| entry.split_once('\n').expect("an entry has a text")).collect()
}

#[test]
fn each_alert_leads_to_its_entry_in_the_runbook() {
    let page = fs::read_to_string(repository().join("ops/runbooks/alerts.md")).expect("the runbook can be read");
    let entries = entries(&page);
    let rules = rules();
    let mut alerts = BTreeSet::new();
    for rule in rules.split("- alert: ").skip(1) {
        let alert = rule.lines().next().expect("an alert has a name");
        let url = rule.lines().find_map(|line| line.trim().strip_prefix("runbook_url: "));
        assert_eq!(url, Some(format!("ops/runbooks/alerts.md#{}", alert.to_lowercase()).as_str()), "{alert}");
        alerts.insert(alert);
    }
    assert!(alerts.len() >= 32, "{alerts:?}");
    assert_eq!(entries.keys().copied().collect::<BTreeSet<_>>(), alerts, "left: the runbook, right: the rule files");
    for (alert, text) in entries {
        let found: Vec<usize> = PARTS.iter().filter_map(|part| text.find(&format!("\n{part}"))).collect();
        assert_eq!(found.len(), PARTS.len(), "{alert} lacks a part");
        assert!(found.is_sorted(), "the parts of {alert} have another order");
    }
}
