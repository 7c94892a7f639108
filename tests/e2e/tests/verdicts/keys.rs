//! Unusual keys: numbers, dates, nulls, duplicates, merges.

use super::node::Node;
use super::scalars;
use crate::random::Random;

const ODD: [&str; 62] = [
    "0123",
    "83",
    "\"83\"",
    "0x53",
    "1e3",
    "1000",
    "'1000'",
    "1_000",
    "+5",
    "5",
    "-0",
    "0",
    "2.50",
    "2.5",
    "012345678901",
    "089",
    "true",
    "True",
    "TRUE",
    "\"true\"",
    "yes",
    "~",
    "null",
    "\"null\"",
    "Null",
    "2025-07-04",
    "2025-07-04T00:00:00Z",
    "\"2025-07-04T00:00:00Z\"",
    ".inf",
    "+.inf",
    "-.inf",
    ".nan",
    "1e400",
    "0o17",
    "0b101",
    "1:30",
    "!!str 0123",
    "!!int \"7\"",
    "!!float 7",
    "!!null x",
    "!!binary aGk=",
    "!x 5",
    "\"\"",
    "''",
    "\"<<\"",
    "a b",
    "team:x=y",
    "é",
    "\"a\\nb\"",
    "\"\\tx\"",
    "18446744073709551616",
    "1e6",
    "1234567.0",
    "1e-5",
    "0.00001",
    "1e20",
    "18446744073709551615",
    "9223372036854775808",
    "!!binary \"\"",
    "\"a\\\\b\"",
    "\"=\"",
    "a#b",
];
const STRANGE: [&str; 12] = [
    "? [a]",
    "? {a: b}",
    "? [1, 2]",
    "[a, b]",
    "{a: b}",
    "[]",
    "? |\n    a\n ",
    "&k a",
    "*k",
    "? &k a",
    "? *k",
    "? - a\n  - b\n ",
];

/// A key as it is written before its colon.
pub(crate) fn odd(random: &mut Random) -> String {
    match random.number(0, 19) {
        0 => scalars::any(random).replace('\n', " "),
        1 => scalars::number(random),
        2 => random.one(&STRANGE).to_owned(),
        3 => "k".repeat(random.of_values(&[126, 127, 128, 129, 200])),
        _ => random.one(&ODD).to_owned(),
    }
}

/// Puts a key that is there already into a map again, or a null key, or a merge.
pub(crate) fn disturb(root: &mut Node, random: &mut Random) {
    let entries = somewhere(root, random);
    let place = random.count(0, entries.len());
    let known = if entries.is_empty() { None } else { Some(entries[random.count(0, entries.len() - 1)].clone()) };
    let value = |random: &mut Random| match random.number(0, 5) {
        0 => Node::text("~"),
        1 => Node::Map(Vec::new()),
        2 => Node::map([("ingestion_rate", "7".into())]),
        3 => Node::text("x"),
        4 => Node::map([("a", "1".into()), ("a", "2".into())]),
        _ => Node::text("5"),
    };
    let new = match (random.number(0, 9), known) {
        (0..=3, Some((key, value))) => {
            let spelled =
                random.one(&["{}", "\"{}\"", "'{}'", "!!str {}"]).replace("{}", key.trim_matches(['"', '\'']));
            (spelled, value)
        }
        (4 | 5, _) => (random.one(&["~", "null", "!!null ''", "\"null\"", "? "]).to_owned(), value(random)),
        (6, _) => (random.one(&["5", "true", "1e3", ".inf", "2025-01-01", "!!binary aGk="]).to_owned(), value(random)),
        _ => (odd(random), value(random)),
    };
    entries.insert(place, new);
}

/// The entries of a map that is somewhere in this one.
fn somewhere<'n>(node: &'n mut Node, random: &mut Random) -> &'n mut Vec<(String, Node)> {
    let deeper: Vec<usize> = {
        let entries = node.entries();
        (0..entries.len()).filter(|place| matches!(entries[*place].1, Node::Map(_))).collect()
    };
    if deeper.is_empty() || random.percent(30) {
        return node.entries();
    }
    let place = random.of_values(&deeper);
    somewhere(&mut node.entries()[place].1, random)
}

/// Fields of the tenants that are merged.
const FIELDS: &[&str] =
    &["ingestion_rate", "ingestion_burst_size", "request_rate", "request_burst_size", "max_label_names_per_series"];
/// Merged values that are no alias of a tenant.
const ODD_SOURCES: &[&str] =
    &["~", "5", "[]", "{}", "[[*m0]]", "x", "*none", "\"\"", "[~]", "{<<: *m0}", "!!map {}", "[*m0, 5]"];
/// Spellings of the key that merges; quoted or tagged as text it is a name like any other.
const MERGE_KEYS: &[&str] = &["<<", "<<", "<<", "<<", "<<", "\"<<\"", "'<<'", "!!merge <<", "!!str <<", "? <<\n    "];
/// Merges into the whole document.
const DOCUMENT_MERGES: &[&str] = &[
    "<<: {}\n",
    "<<: {ingester_limits: ~}\n",
    "<<: [{}, {overrides: {z: {}}}]\n",
    "<<: {overrides: {z: {}}}\n",
    "x: &x {}\n<<: *x\n",
    "<<: ~\n",
];

/// Tenants that are merged from each other, in text: anchors have no other place.
pub(crate) fn merged(random: &mut Random) -> String {
    let mut text = String::from("overrides:\n");
    let anchors = random.count(1, 4);
    for place in 0..anchors {
        text += &anchored_tenant(random, place);
    }
    for place in 0..random.count(1, 3) {
        text += &merging_tenant(random, place, anchors);
    }
    if random.percent(15) {
        text += random.one(DOCUMENT_MERGES);
    }
    text
}

fn field(random: &mut Random) -> String {
    let known = if random.percent(90) { 7 } else { 8 };
    format!("{}: {}", random.one(FIELDS), random.one(&["1", "2", "3", "~", "0x10", "1e3", "5.5", "x"][..known]))
}

/// A tenant with an anchor, and one or two fields.
fn anchored_tenant(random: &mut Random, place: usize) -> String {
    let (one, two) = (field(random), field(random));
    let both = if one.split(':').next() == two.split(':').next() { one.clone() } else { format!("{one}, {two}") };
    format!("  t{place}: &m{place} {{{both}}}\n")
}

/// A tenant that merges others, before or after a field of its own.
fn merging_tenant(random: &mut Random, place: usize, anchors: usize) -> String {
    let merge = if random.percent(60) {
        merge_source(random, anchors)
    } else {
        format!("[{}, {}]", merge_source(random, anchors), merge_source(random, anchors))
    };
    let key = random.one(MERGE_KEYS);
    let own = field(random);
    match random.number(0, 4) {
        0 => format!("  u{place}:\n    {own}\n    {key}: {merge}\n"),
        1 => format!("  u{place}:\n    {key}: {merge}\n    {own}\n"),
        2 => format!("  u{place}: *m{}\n", random.count(0, anchors)),
        3 => format!("  {key}: {{v{place}: {merge}, 0123: {{{own}}}}}\n"),
        _ => format!("  u{place}:\n    {key}: {merge}\n"),
    }
}

/// A value to merge: mostly the alias of one of the `anchors`.
fn merge_source(random: &mut Random, anchors: usize) -> String {
    match random.number(0, 11) {
        0 => format!("{{{}}}", field(random)),
        1 => random.one(ODD_SOURCES).to_owned(),
        _ => format!("*m{}", random.count(0, anchors - 1)),
    }
}
