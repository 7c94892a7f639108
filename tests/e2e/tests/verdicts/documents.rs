//! The documents of a seed. Each is drawn from the seed and its number alone.

use super::node::Node;
use super::schema::{Field, Schema};
use super::{bombs, keys, mutate, rules, scalars, spelling, stream, values};
use crate::draw::Draw;

/// What Mimir charges and refuses by, which is compared.
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
        let mut draw = Draw::of(self.seed, number);
        let compressed = draw.percent(7);
        let mut document = Document { number, theme: "", compressed, bytes: Vec::new(), wrong: None };
        // Every third is wrong in one value, and the kinds take turns.
        if number.is_multiple_of(3) {
            let kinds: Vec<_> = self.schema.kinds.keys().collect();
            let place = usize::try_from(number / 3).unwrap_or(0) % kinds.len();
            (document.theme, document.wrong) = ("wrong kind", Some(kinds[place].clone()));
            let root = self.with_wrong(kinds[place], &mut draw);
            document.bytes = spelling::spell(&root, &mut draw).into_bytes();
        } else {
            (document.theme, document.bytes) = self.themed(&mut draw);
        }
        if compressed {
            document.bytes = stream::compress(&document.bytes, &mut draw);
        }
        document
    }

    fn themed(&self, draw: &mut Draw) -> (&'static str, Vec<u8>) {
        let (theme, text) = match draw.number(0, 99) {
            0..=7 => ("plain", self.text(&self.usual(draw), draw)),
            8..=25 => ("scalars", self.text(&self.with_field(draw, true), draw)),
            26..=35 => ("structures", self.text(&self.with_field(draw, false), draw)),
            36..=41 => ("tenant keys", self.text(&self.odd_tenants(draw), draw)),
            42..=48 => {
                let mut root = self.usual(draw);
                keys::disturb(&mut root, draw);
                ("keys", self.text(&root, draw))
            }
            49..=52 => ("names", self.text(&self.unknown(draw), draw)),
            53..=58 => ("merges", keys::merged(draw)),
            59..=64 => ("frames", stream::frame(&self.usual_text(draw), draw)),
            65..=66 => ("breaks", stream::breaks(&self.usual_text(draw), draw)),
            67..=70 => return ("encodings", stream::encode(&self.usual_text(draw), draw)),
            71..=78 => ("rules", self.text(&self.with_rules(draw), draw)),
            79..=80 => ("bombs", bombs::bomb(draw)),
            _ => return ("damaged", self.damaged(draw)),
        };
        (theme, text.into_bytes())
    }

    fn text(&self, root: &Node, draw: &mut Draw) -> String {
        spelling::spell(root, draw)
    }

    fn usual_text(&self, draw: &mut Draw) -> String {
        self.text(&self.usual(draw), draw)
    }

    fn damaged(&self, draw: &mut Draw) -> Vec<u8> {
        let known = self.known.iter().collect::<Vec<_>>();
        let other = draw.of_values(&known);
        let good = match draw.number(0, 9) {
            0..=4 => draw.of_values(&known).clone(),
            5 => keys::merged(draw).into_bytes(),
            6 => self.text(&self.with_field(draw, false), draw).into_bytes(),
            7 => self.text(&self.odd_tenants(draw), draw).into_bytes(),
            _ => self.usual_text(draw).into_bytes(),
        };
        mutate::damage(&good, other, draw)
    }

    /// A configuration that is right, as far as fields alone can say.
    fn usual(&self, draw: &mut Draw) -> Node {
        let count = draw.count(1, 3);
        let first = draw.count(0, TENANTS.len() - count);
        let tenants =
            TENANTS[first..first + count].iter().map(|tenant| ((*tenant).to_owned(), self.tenant(draw))).collect();
        let mut root = vec![("overrides".to_owned(), Node::Map(tenants))];
        if draw.percent(10) {
            for (name, block) in &self.schema.blocks {
                if draw.percent(50) {
                    root.push((name.clone(), values::right(&self.schema, name, block, draw)));
                }
            }
        }
        Node::Map(root)
    }

    fn tenant(&self, draw: &mut Draw) -> Node {
        if draw.percent(5) {
            return Node::text(draw.one(&["~", "", "{}", "null"]));
        }
        let mut entries: Vec<(String, Node)> = Vec::new();
        for name in COMPARED {
            if draw.percent(40) {
                entries.push((name.to_owned(), self.right(name, draw)));
            }
        }
        for _ in 0..draw.count(0, 3) {
            let (name, _) = &self.schema.limits[draw.count(0, self.schema.limits.len() - 1)];
            let is_bound = values::BOUND.contains(&name.as_str());
            if !is_bound && !entries.iter().any(|(other, _)| other == name) {
                entries.push((name.clone(), self.right(name, draw)));
            }
        }
        Node::Map(entries)
    }

    fn right(&self, name: &str, draw: &mut Draw) -> Node {
        values::right(&self.schema, name, self.schema.limit(name), draw)
    }

    /// A usual one with these fields in one tenant.
    fn with(&self, fields: Vec<(String, Node)>, draw: &mut Draw) -> Node {
        let mut root = self.usual(draw);
        let tenants = root.entries()[0].1.entries();
        let last = tenants.len() - 1;
        let mut tenant = match std::mem::replace(&mut tenants[last].1, Node::text("")) {
            Node::Map(entries) => entries,
            _ => Vec::new(),
        };
        tenant.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
        let place = draw.count(0, tenant.len());
        tenant.splice(place..place, fields);
        tenants[last].1 = Node::Map(tenant);
        root
    }

    /// A field with whatever, or a field with something below it.
    fn with_field(&self, draw: &mut Draw, scalar: bool) -> Node {
        let fits = |field: &Field| {
            let nested = ["list", "map", "object", "custom"].iter().any(|start| field.kind.starts_with(start));
            scalar != nested
        };
        let names: Vec<&String> =
            self.schema.limits.iter().filter(|(_, field)| fits(field)).map(|(name, _)| name).collect();
        let compared = scalar && draw.percent(50);
        let name = if compared { draw.of_values(&COMPARED) } else { draw.of_values(&names).as_str() };
        let field = self.schema.limit(name);
        let value = if scalar || draw.percent(10) {
            values::wild(&self.schema, field, draw)
        } else {
            self.perhaps_wrong_inside(name, field, draw)
        };
        self.with(vec![(name.to_owned(), value)], draw)
    }

    /// A right value, in which at times one scalar is another.
    fn perhaps_wrong_inside(&self, name: &str, field: &Field, draw: &mut Draw) -> Node {
        let mut value = values::right(&self.schema, name, field, draw);
        if draw.percent(60) {
            replace_one(&mut value, draw);
        }
        value
    }

    fn odd_tenants(&self, draw: &mut Draw) -> Node {
        let mut tenants: Vec<(String, Node)> = Vec::new();
        for _ in 0..draw.count(1, 4) {
            let key = keys::odd(draw);
            if draw.percent(10) || tenants.iter().all(|(other, _)| *other != key) {
                let value = if draw.percent(80) {
                    Node::map([("ingestion_rate", self.right("ingestion_rate", draw))])
                } else {
                    self.tenant(draw)
                };
                tenants.push((key, value));
            }
        }
        Node::map([("overrides", Node::Map(tenants))])
    }

    fn unknown(&self, draw: &mut Draw) -> Node {
        let limits = &self.schema.limits;
        let known = &limits[draw.count(0, limits.len() - 1)].0;
        let (root_names, tenant_names) = (self.schema.unknown_blocks.iter(), self.schema.unknown_limits.iter());
        let name = match draw.number(0, 4) {
            0 => known.to_uppercase(),
            1 => format!("{known} "),
            2 => format!("\"{known}\\0\""),
            3 => known.replace('_', "-"),
            _ => draw.of_values(&tenant_names.collect::<Vec<_>>()).clone(),
        };
        let value = if draw.percent(30) { Node::text("~") } else { Node::text("5") };
        if draw.percent(75) {
            return self.with(vec![(name, value)], draw);
        }
        let mut root = self.usual(draw);
        let name = match draw.number(0, 3) {
            0 => "Overrides".to_owned(),
            1 => "overrides ".to_owned(),
            2 => "x-any".to_owned(),
            _ => draw.of_values(&root_names.collect::<Vec<_>>()).clone(),
        };
        root.entries().push((name, value));
        root
    }

    fn with_rules(&self, draw: &mut Draw) -> Node {
        let fields = rules::bound(draw);
        self.with(fields, draw)
    }

    /// A usual one with one wrong value of this kind, and nothing else that is wrong.
    fn with_wrong(&self, kind: &str, draw: &mut Draw) -> Node {
        let paths = self.schema.of_kind(kind);
        let path = &paths[draw.count(0, paths.len() - 1)];
        let value = self.nest(&self.schema.limits, path, values::wrong(&self.schema, kind, draw));
        self.with(vec![(path[0].clone(), value)], draw)
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
fn replace_one(node: &mut Node, draw: &mut Draw) {
    match node {
        Node::List(items) if !items.is_empty() => {
            let place = draw.count(0, items.len() - 1);
            replace_one(&mut items[place], draw);
        }
        Node::Map(entries) if !entries.is_empty() => {
            let place = draw.count(0, entries.len() - 1);
            if draw.percent(10) {
                entries[place].0 = scalars::any(draw).replace('\n', " ");
            } else {
                replace_one(&mut entries[place].1, draw);
            }
        }
        other => *other = Node::text(scalars::any(draw)),
    }
}
