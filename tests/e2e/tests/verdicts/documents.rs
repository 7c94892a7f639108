//! The documents of a seed. Each is drawn from the seed and its number alone.

use super::node::Node;
use super::schema::{Field, Schema};
use super::{bombs, keys, mutate, rules, scalars, spelling, stream, values};
use crate::random::Random;

/// What Mimir charges and rejects by, which is compared.
const COMPARED: [&str; 5] =
    ["ingestion_rate", "ingestion_burst_size", "request_rate", "request_burst_size", "max_label_names_per_series"];
const TENANTS: [&str; 8] = ["team-red", "team-blue", "a", "b2", "tenant_1", "T", "x.y", "team(1)"];

/// A document, and why it is as it is.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) number: u64,
    pub(crate) theme: &'static str,
    /// Whether its name ends in `.gz`.
    pub(crate) compressed: bool,
    pub(crate) bytes: Vec<u8>,
    /// The kind that has a wrong value, where that is all that is wrong.
    pub(crate) wrong: Option<String>,
}

pub(crate) struct Generator {
    pub(crate) schema: Schema,
    seed: u64,
    /// Documents to damage.
    known: Vec<Vec<u8>>,
}

impl Generator {
    pub(crate) fn new(seed: u64, known: Vec<Vec<u8>>) -> Self {
        Self { schema: Schema::read(), seed, known }
    }

    pub(crate) fn document(&self, number: u64) -> Document {
        let mut random = Random::of(self.seed, number);
        let compressed = random.percent(7);
        let mut document = Document { number, theme: "", compressed, bytes: Vec::new(), wrong: None };
        // Every third is wrong in one value, and the kinds take turns.
        if number.is_multiple_of(3) {
            let kinds: Vec<_> = self.schema.kinds.keys().collect();
            let place = usize::try_from(number / 3).unwrap_or(0) % kinds.len();
            (document.theme, document.wrong) = ("wrong kind", Some(kinds[place].clone()));
            let root = self.with_wrong(kinds[place], &mut random);
            document.bytes = spelling::spell(&root, &mut random).into_bytes();
        } else {
            (document.theme, document.bytes) = self.themed(&mut random);
        }
        if compressed {
            document.bytes = stream::compress(&document.bytes, &mut random);
        }
        document
    }

    fn themed(&self, random: &mut Random) -> (&'static str, Vec<u8>) {
        let (theme, text) = match random.number(0, 99) {
            0..=7 => ("plain", self.text(&self.usual(random), random)),
            8..=25 => ("scalars", self.text(&self.with_field(random, true), random)),
            26..=35 => ("structures", self.text(&self.with_field(random, false), random)),
            36..=41 => ("tenant keys", self.text(&self.odd_tenants(random), random)),
            42..=48 => {
                let mut root = self.usual(random);
                keys::disturb(&mut root, random);
                ("keys", self.text(&root, random))
            }
            49..=52 => ("names", self.text(&self.unknown(random), random)),
            53..=58 => ("merges", keys::merged(random)),
            59..=64 => ("frames", stream::frame(&self.usual_text(random), random)),
            65..=66 => ("breaks", stream::breaks(&self.usual_text(random), random)),
            67..=70 => return ("encodings", stream::encode(&self.usual_text(random), random)),
            71..=78 => ("rules", self.text(&self.with_rules(random), random)),
            79..=80 => ("bombs", bombs::bomb(random)),
            _ => return ("damaged", self.damaged(random)),
        };
        (theme, text.into_bytes())
    }

    fn text(&self, root: &Node, random: &mut Random) -> String {
        spelling::spell(root, random)
    }

    fn usual_text(&self, random: &mut Random) -> String {
        self.text(&self.usual(random), random)
    }

    fn damaged(&self, random: &mut Random) -> Vec<u8> {
        let known = self.known.iter().collect::<Vec<_>>();
        let other = random.of_values(&known);
        let good = match random.number(0, 9) {
            0..=4 => random.of_values(&known).clone(),
            5 => keys::merged(random).into_bytes(),
            6 => self.text(&self.with_field(random, false), random).into_bytes(),
            7 => self.text(&self.odd_tenants(random), random).into_bytes(),
            _ => self.usual_text(random).into_bytes(),
        };
        mutate::damage(&good, other, random)
    }

    /// A configuration that is right, as far as fields alone can say.
    fn usual(&self, random: &mut Random) -> Node {
        let count = random.count(1, 3);
        let first = random.count(0, TENANTS.len() - count);
        let tenants =
            TENANTS[first..first + count].iter().map(|tenant| ((*tenant).to_owned(), self.tenant(random))).collect();
        let mut root = vec![("overrides".to_owned(), Node::Map(tenants))];
        if random.percent(10) {
            for (name, block) in &self.schema.blocks {
                if random.percent(50) {
                    root.push((name.clone(), values::right(&self.schema, name, block, random)));
                }
            }
        }
        Node::Map(root)
    }

    fn tenant(&self, random: &mut Random) -> Node {
        if random.percent(5) {
            return Node::text(random.one(&["~", "", "{}", "null"]));
        }
        let mut entries: Vec<(String, Node)> = Vec::new();
        for name in COMPARED {
            if random.percent(40) {
                entries.push((name.to_owned(), self.right(name, random)));
            }
        }
        for _ in 0..random.count(0, 3) {
            let (name, _) = &self.schema.limits[random.count(0, self.schema.limits.len() - 1)];
            let is_bound = values::BOUND.contains(&name.as_str());
            if !is_bound && !entries.iter().any(|(other, _)| other == name) {
                entries.push((name.clone(), self.right(name, random)));
            }
        }
        Node::Map(entries)
    }

    fn right(&self, name: &str, random: &mut Random) -> Node {
        values::right(&self.schema, name, self.schema.limit(name), random)
    }

    /// A usual one with these fields in one tenant.
    fn with(&self, fields: Vec<(String, Node)>, random: &mut Random) -> Node {
        let mut root = self.usual(random);
        let tenants = root.entries()[0].1.entries();
        let last = tenants.len() - 1;
        let mut tenant = match std::mem::replace(&mut tenants[last].1, Node::text("")) {
            Node::Map(entries) => entries,
            _ => Vec::new(),
        };
        tenant.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
        let place = random.count(0, tenant.len());
        tenant.splice(place..place, fields);
        tenants[last].1 = Node::Map(tenant);
        root
    }

    /// A field with whatever, or a field with something below it.
    fn with_field(&self, random: &mut Random, scalar: bool) -> Node {
        let fits = |field: &Field| {
            let nested = ["list", "map", "object", "custom"].iter().any(|start| field.kind.starts_with(start));
            scalar != nested
        };
        let names: Vec<&String> =
            self.schema.limits.iter().filter(|(_, field)| fits(field)).map(|(name, _)| name).collect();
        let compared = scalar && random.percent(50);
        let name = if compared { random.of_values(&COMPARED) } else { random.of_values(&names).as_str() };
        let field = self.schema.limit(name);
        let value = if scalar || random.percent(10) {
            values::wild(&self.schema, field, random)
        } else {
            self.perhaps_wrong_inside(name, field, random)
        };
        self.with(vec![(name.to_owned(), value)], random)
    }

    /// A right value, in which at times one scalar is another.
    fn perhaps_wrong_inside(&self, name: &str, field: &Field, random: &mut Random) -> Node {
        let mut value = values::right(&self.schema, name, field, random);
        if random.percent(60) {
            replace_one(&mut value, random);
        }
        value
    }

    fn odd_tenants(&self, random: &mut Random) -> Node {
        let mut tenants: Vec<(String, Node)> = Vec::new();
        for _ in 0..random.count(1, 4) {
            let key = keys::odd(random);
            if random.percent(10) || tenants.iter().all(|(other, _)| *other != key) {
                let value = if random.percent(80) {
                    Node::map([("ingestion_rate", self.right("ingestion_rate", random))])
                } else {
                    self.tenant(random)
                };
                tenants.push((key, value));
            }
        }
        Node::map([("overrides", Node::Map(tenants))])
    }

    fn unknown(&self, random: &mut Random) -> Node {
        let limits = &self.schema.limits;
        let known = &limits[random.count(0, limits.len() - 1)].0;
        let (root_names, tenant_names) = (self.schema.unknown_blocks.iter(), self.schema.unknown_limits.iter());
        let name = match random.number(0, 4) {
            0 => known.to_uppercase(),
            1 => format!("{known} "),
            2 => format!("\"{known}\\0\""),
            3 => known.replace('_', "-"),
            _ => random.of_values(&tenant_names.collect::<Vec<_>>()).clone(),
        };
        let value = if random.percent(30) { Node::text("~") } else { Node::text("5") };
        if random.percent(75) {
            return self.with(vec![(name, value)], random);
        }
        let mut root = self.usual(random);
        let name = match random.number(0, 3) {
            0 => "Overrides".to_owned(),
            1 => "overrides ".to_owned(),
            2 => "x-any".to_owned(),
            _ => random.of_values(&root_names.collect::<Vec<_>>()).clone(),
        };
        root.entries().push((name, value));
        root
    }

    fn with_rules(&self, random: &mut Random) -> Node {
        let fields = rules::bound(random);
        self.with(fields, random)
    }

    /// A usual one with one wrong value of this kind, and nothing else that is wrong.
    fn with_wrong(&self, kind: &str, random: &mut Random) -> Node {
        let paths = self.schema.of_kind(kind);
        let path = &paths[random.count(0, paths.len() - 1)];
        let value = self.nest(&self.schema.limits, path, values::wrong(&self.schema, kind, random));
        self.with(vec![(path[0].clone(), value)], random)
    }

    fn nest(&self, fields: &[(String, Field)], path: &[String], value: Node) -> Node {
        let [name, rest @ ..] = path else { return value };
        let Some((_, field)) = fields.iter().find(|(other, _)| other == name) else { return value };
        let [below, ..] = rest else { return value };
        let mut entries = vec![(below.clone(), self.nest(&field.fields, rest, value))];
        match (name.as_str(), below.as_str()) {
            ("blocked_queries", "pattern") | ("cost_attribution_labels_structured", "input") => {}
            ("blocked_queries", _) => entries.push(("pattern".to_owned(), Node::text("x"))),
            ("cost_attribution_labels_structured", _) => entries.push(("input".to_owned(), Node::text("x"))),
            _ => {}
        }
        match field.kind.as_str() {
            "list_of_object" => Node::List(vec![Node::Map(entries)]),
            "map_of_object" => Node::Map(vec![("m".to_owned(), Node::Map(entries))]),
            _ => Node::Map(entries),
        }
    }
}

/// Puts any scalar in the place of another.
fn replace_one(node: &mut Node, random: &mut Random) {
    match node {
        Node::List(items) if !items.is_empty() => {
            let place = random.count(0, items.len() - 1);
            replace_one(&mut items[place], random);
        }
        Node::Map(entries) if !entries.is_empty() => {
            let place = random.count(0, entries.len() - 1);
            if random.percent(10) {
                entries[place].0 = scalars::any(random).replace('\n', " ");
            } else {
                replace_one(&mut entries[place].1, random);
            }
        }
        other => *other = Node::text(scalars::any(random)),
    }
}
