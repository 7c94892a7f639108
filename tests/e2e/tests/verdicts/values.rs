//! Values of fields: mostly what the field's kind takes.

use super::node::Node;
use super::scalars::{self, REGEXPS};
use super::schema::{Field, Schema};
use crate::random::Random;

const TRACKERS: [&str; 22] = [
    "'{a=\"b\"}'",
    "a=b",
    "'{a=~\"x.*\", b!=c}'",
    "''",
    "'{}'",
    "'a!~\"^(x|y)$\"'",
    "'{a=\"b\",}'",
    "'{,a=b}'",
    "'a=\"b'",
    "'a==b'",
    "'1a=b'",
    "'a:b=c'",
    "'a=~\"(\"'",
    "'{a=b'",
    "'a=b}'",
    "'a= b '",
    "'\"a\"=b'",
    "'a=\"\\\"\"'",
    "a",
    "'a=b,c=d'",
    "~",
    "5",
];
/// Fields of a tenant that rules bind to others, so that a value drawn for one alone is mostly rejected.
pub(crate) const BOUND: [&str; 8] = [
    "otel_translation_strategy",
    "ha_tracker_failover_timeout",
    "ha_tracker_update_timeout",
    "ha_tracker_update_timeout_jitter_max",
    "max_estimated_fetched_chunks_per_query_multiplier",
    "ingest_storage_read_consistency",
    "query_ingesters_within",
    "max_active_series_additional_custom_trackers",
];

/// A value that the field's kind takes, as far as its kind alone says.
pub(crate) fn right(schema: &Schema, name: &str, field: &Field, random: &mut Random) -> Node {
    if !field.values.is_empty() && random.percent(80) {
        return Node::text(quoted_if_empty(&random.of_values(&field.values.iter().collect::<Vec<_>>()).clone()));
    }
    match field.kind.as_str() {
        "list_of_string" | "list_of_label_name" => Node::List(
            (0..random.count(0, 4))
                .map(|_| Node::text(random.one(&["a", "job", "5", "1.10", "~", "é", "'x y'", "true"])))
                .collect(),
        ),
        "map_of_int" => map(random, |random| of_probes(schema, "int", random)),
        "map_of_string" => map(random, |random| of_probes(schema, "string", random)),
        "map_of_float64" => {
            let chosen = schema.integrations.iter().filter(|_| random.percent(20));
            let chosen: Vec<_> = chosen.cloned().collect();
            Node::Map(chosen.into_iter().map(|name| (name, of_probes(schema, "float64", random))).collect())
        }
        "custom_trackers" => map(random, |random| {
            let known = if random.percent(80) { 7 } else { TRACKERS.len() };
            Node::text(random.one(&TRACKERS[..known]))
        }),
        "list_of_object" => Node::List((0..random.count(0, 3)).map(|_| object(schema, name, field, random)).collect()),
        "map_of_object" => map(random, |random| object(schema, name, field, random)),
        "object" => object(schema, name, field, random),
        "regexp_go_anchored" if random.percent(70) => regexp(random),
        "csv_cidr" => Node::text(random.one(&[
            "10.0.0.0/8",
            "'::1/128'",
            "10.0.0.0/8,192.168.0.0/16",
            "''",
            "2001:db8::/32",
            "~",
        ])),
        "int" | "uint" | "float64" if random.percent(40) => Node::text(random.number(0, 100_000).to_string()),
        kind => of_probes(schema, kind, random),
    }
}

/// Any value, right or wrong.
pub(crate) fn wild(schema: &Schema, field: &Field, random: &mut Random) -> Node {
    let probes = &schema.kinds[&field.kind];
    match field.kind.as_str() {
        "duration" | "go_duration" if random.percent(60) => Node::text(scalars::duration(random)),
        "int" | "uint" | "float64" if random.percent(60) => Node::text(scalars::number(random)),
        "regexp_go_anchored" if random.percent(60) => Node::text(format!("'{}'", random.one(&REGEXPS))),
        _ if random.percent(50) => Node::text(scalars::any(random)),
        _ => Node::text(random.of_values(&probes.right.iter().chain(&probes.wrong).collect::<Vec<_>>()).clone()),
    }
}

/// Text that the field's kind does not take, as far as is known.
pub(crate) fn wrong(schema: &Schema, kind: &str, random: &mut Random) -> Node {
    let wrong = schema.kinds[kind].wrong.iter().collect::<Vec<_>>();
    if wrong.is_empty() || (kind == "regexp_go_anchored" && random.percent(60)) {
        return Node::text(random.one(&[
            "'(?=a)'",
            "'a**'",
            "'('",
            "'[a'",
            "'a{1001}'",
            "'\\u0041'",
            "'x{5,2}'",
            "'(a{100}){100}'",
        ]));
    }
    Node::text(random.of_values(&wrong).clone())
}

fn of_probes(schema: &Schema, kind: &str, random: &mut Random) -> Node {
    let right = schema.kinds[kind].right.iter().collect::<Vec<_>>();
    Node::text(random.of_values(&right).clone())
}

/// A regexp in single quotes.
pub(crate) fn regexp(random: &mut Random) -> Node {
    let known = if random.percent(85) { 22 } else { REGEXPS.len() };
    Node::text(format!("'{}'", random.one(&REGEXPS[..known])))
}

fn map(random: &mut Random, mut value: impl FnMut(&mut Random) -> Node) -> Node {
    let keys = ["a", "b", "1", "c d", "1e3", "\"q\"", "2.50", "true"];
    let few = if random.percent(70) { 2 } else { keys.len() };
    let chosen: Vec<_> = keys[..few].iter().filter(|_| random.percent(60)).collect();
    Node::Map(chosen.into_iter().map(|key| ((*key).to_owned(), value(random))).collect())
}

/// A map of some of the fields; those that must be there are.
fn object(schema: &Schema, name: &str, field: &Field, random: &mut Random) -> Node {
    let mut entries = Vec::new();
    for (below, inner) in &field.fields {
        let needed = matches!(
            (name, below.as_str()),
            ("blocked_queries", "pattern") | ("cost_attribution_labels_structured", "input")
        );
        if !needed && !random.percent(35) {
            continue;
        }
        let value = match (name, below.as_str()) {
            ("blocked_queries", "pattern") => regexp(random),
            ("cost_attribution_labels_structured", "input" | "output") => {
                let few = if random.percent(90) { 5 } else { 8 };
                Node::text(random.one(&["a", "b", "job", "pod", "5", "''", "__x", "~"][..few]))
            }
            _ => right(schema, below, inner, random),
        };
        entries.push((below.clone(), value));
    }
    Node::Map(entries)
}

fn quoted_if_empty(text: &str) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { text.to_owned() }
}
