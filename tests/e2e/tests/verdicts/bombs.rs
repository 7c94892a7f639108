//! Documents that cost a reader more than their size suggests, and large documents.

use std::fmt::Write;

use crate::random::Random;

/// One of them.
pub(crate) fn bomb(random: &mut Random) -> String {
    match random.number(0, 13) {
        0 => levels(random.count(3, 9), random.count(2, 10)),
        1 => shared_block(random.count(20, 250), random.count(20, 400)),
        2 => nested("[", "]", depth(random)),
        3 => nested("{a: ", "}", depth(random)),
        4 => nested("- ", "", depth(random)),
        5 => {
            let longest = random.of_values(&[128, 1_024]);
            long_key(random.around(longest))
        }
        6 => tenants(random.count(100, 1_500)),
        7 => merges(random.count(2, 400), random.count(1, 30)),
        8 => format!(
            "overrides: {{a: {{ingestion_rate: {}}}}}\n",
            "9".repeat(random.of_values(&[30, 300, 310, 400, 5_000, 100_000]))
        ),
        9 => format!("overrides: {{a: {{ha_cluster_label: \"{}\"}}}}\n", "x\\n".repeat(random.count(10, 60_000))),
        10 => merge_chain(random.count(2, 3_000)),
        11 => indented(random.count(2, 1_200)),
        12 => format!(
            "# {}\noverrides: {{}}\n{}",
            "c".repeat(random.count(10, 300_000)),
            "\n".repeat(random.count(0, 50_000))
        ),
        _ => rules(random.count(1, 300)),
    }
}

/// Near the deepest that Mimir reads, or far from it.
fn depth(random: &mut Random) -> usize {
    if random.percent(50) { random.around(10_000) } else { random.of_values(&[10, 100, 1_000, 20_000]) }
}

/// Every kind of them at its worst; the same at every time.
pub(crate) fn worst() -> Vec<(&'static str, String)> {
    vec![
        ("aliases of aliases", levels(9, 10)),
        ("a block for many", shared_block(200, 5_000)),
        ("brackets", nested("[", "]", 100_000)),
        ("braces", nested("{a: ", "}", 100_000)),
        ("dashes", nested("- ", "", 100_000)),
        ("tenants", tenants(5_000)),
        ("merges", merges(1_000, 100)),
        ("merge chain", merge_chain(20_000)),
        ("digits", format!("overrides: {{a: {{ingestion_rate: {}}}}}\n", "9".repeat(1_000_000))),
        ("indentation", indented(1_200)),
    ]
}

fn levels(depth: usize, width: usize) -> String {
    let mut text = "overrides:\n  t0: &l0 {ingestion_rate: 5, request_rate: 6}\n".to_owned();
    for level in 1..=depth {
        let below = vec![format!("*l{}", level - 1); width].join(", ");
        writeln!(text, "  t{level}: &l{level} [{below}]").expect("text takes text");
    }
    text
}

/// One block of nodes that all tenants share: within the bounds of a reader where a real configuration has it.
fn shared_block(nodes: usize, tenants: usize) -> String {
    let labels = vec!["x"; nodes].join(", ");
    let mut text = format!("overrides:\n  base: &base {{drop_labels: [{labels}]}}\n");
    for tenant in 0..tenants {
        writeln!(text, "  t{tenant}: *base").expect("text takes text");
    }
    text
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    let inner = if close.is_empty() { "" } else { " " };
    // Behind the first document, or as a value that a tenant has.
    format!(
        "overrides:\n {}{inner}{}\n",
        if close.is_empty() { "" } else { " a: " }.to_owned() + &open.repeat(depth),
        close.repeat(depth)
    )
}

fn long_key(length: usize) -> String {
    format!("overrides:\n  {}: {{ingestion_rate: 5}}\n", "k".repeat(length))
}

fn tenants(count: usize) -> String {
    let mut text = "overrides:\n".to_owned();
    for tenant in 0..count {
        writeln!(text, "  tenant-{tenant}: {{ingestion_rate: {tenant}, max_label_names_per_series: 40}}")
            .expect("text takes text");
    }
    text
}

fn merges(count: usize, fields: usize) -> String {
    let labels = (0..fields).map(|field| format!("f{field}: 5")).collect::<Vec<_>>().join(", ");
    let aliases = vec!["*m"; count].join(", ");
    format!(
        "overrides:\n  a: {{ruler_max_rules_per_rule_group_by_namespace: &m {{{labels}}}}}\n  b: {{ruler_max_rules_per_rule_group_by_namespace: {{<<: [{aliases}]}}}}\n"
    )
}

fn merge_chain(length: usize) -> String {
    let mut text = "overrides:\n  t0: &m0 {ingestion_rate: 5}\n".to_owned();
    for place in 1..length {
        writeln!(text, "  t{place}: &m{place} {{<<: *m{}}}", place - 1).expect("text takes text");
    }
    text
}

fn indented(depth: usize) -> String {
    let lines = (0..depth).map(|depth| format!("{}a:\n", " ".repeat(depth)));
    format!("overrides:\n{}", lines.map(|line| format!(" {line}")).collect::<String>())
}

fn rules(count: usize) -> String {
    let mut text = "overrides:\n  a:\n    metric_relabel_configs:\n".to_owned();
    for rule in 0..count {
        writeln!(text, "    - {{action: drop, source_labels: [a, b], regex: 'x{rule}|y{{1,{rule}}}.*'}}")
            .expect("text takes text");
    }
    text
}
