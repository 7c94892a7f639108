//! The runbook has the same tables.

use super::{checks, in_the_log};
use crate::args::Phase;

const RUNBOOK: &str = include_str!("../../../../../ops/runbooks/rollout.md");

/// The rows of the table of checks of a section: what is checked and the condition.
fn rows(heading: &str) -> Vec<(&'static str, &'static str)> {
    let (_, section) = RUNBOOK.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().expect("a section");
    let lines = section.lines().skip_while(|line| !line.starts_with("| check | ")).skip(2);
    let rows = lines.take_while(|line| line.starts_with("| "));
    // No expression has a bar: the condition follows the last one.
    rows.map(|row| row.trim_start_matches("| ").trim_end_matches(" |").rsplit_once(" | ").expect(row)).collect()
}

#[test]
fn the_tables_are_those_of_the_runbook() {
    for (heading, phase) in
        [("Phase 1: mirror", Phase::Mirror), ("Phase 2: canary", Phase::Canary), ("Phase 3: full", Phase::Full)]
    {
        let here = checks(phase).iter().map(|check| {
            let queries: Vec<_> = check.queries.iter().map(|query| format!("`{query}`")).collect();
            (format!("{}: {}", check.name, queries.join(" and ")), check.condition)
        });
        let (metric, log): (Vec<_>, Vec<_>) =
            rows(heading).into_iter().partition(|(check, _)| check.contains("(rate(") || check.contains("`max("));
        let there = metric.into_iter().map(|(check, condition)| (check.to_owned(), condition));
        assert_eq!(here.collect::<Vec<_>>(), there.collect::<Vec<_>>(), "left: here, right: the runbook, {heading}");
        assert_eq!(in_the_log(phase), log.into_iter().map(|(check, _)| check).collect::<Vec<_>>(), "{heading}");
    }
}
