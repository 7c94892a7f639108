//! One configuration in one of its many spellings: block or flow, quoted, commented, anchored.

use super::node::Node;
use crate::random::Random;

/// Chances in a hundred, drawn once for each document, so that some are plain and some are odd throughout.
#[derive(Clone, Copy, Debug)]
struct Style {
    indent: usize,
    flow: u32,
    comments: u32,
    quoted_keys: u32,
    explicit_keys: u32,
    anchors: u32,
    tags: u32,
}

/// Writes a configuration as YAML.
pub(crate) fn spell(root: &Node, random: &mut Random) -> String {
    let odd = random.percent(60);
    let mut chance = |high: i64| if odd { u32::try_from(random.number(0, high)).unwrap_or(0) } else { 0 };
    let (flow, comments, quoted_keys) = (chance(40), chance(15), chance(30));
    let (explicit_keys, anchors, tags) = (chance(8), chance(15), chance(6));
    let indent = random.of_values(&[2, 2, 2, 4, 1, 3, 8]);
    let style = Style { indent, flow, comments, quoted_keys, explicit_keys, anchors, tags };
    let mut writer = Writer { random, out: String::new(), style, anchored: Vec::new() };
    if writer.random.percent(10) {
        writer.flow(root, 0);
    } else {
        writer.block(root, 0);
    }
    writer.out
}

struct Writer<'d> {
    random: &'d mut Random,
    out: String,
    style: Style,
    /// What an alias can stand for.
    anchored: Vec<Node>,
}

impl Writer<'_> {
    /// A value on lines of its own.
    fn block(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    self.pad(indent);
                    self.entry(key, value, indent);
                }
            }
            Node::List(items) if !items.is_empty() => {
                for item in items {
                    self.pad(indent);
                    self.item(item, indent);
                }
            }
            other => {
                self.pad(indent);
                self.flow(other, indent);
                self.end_line();
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Node, indent: usize) {
        if self.chance(self.style.explicit_keys) {
            self.out += &format!("? {key}\n");
            self.pad(indent);
        } else {
            let key = self.key(key);
            self.out += &key;
            if self.random.percent(1) {
                self.out.push(' ');
            }
        }
        self.out.push(':');
        // A list may be as deep as its key.
        let deeper = if matches!(value, Node::List(_)) && self.random.percent(40) { 0 } else { self.style.indent };
        self.value(value, indent + deeper);
    }

    fn item(&mut self, item: &Node, indent: usize) {
        self.out.push('-');
        match item {
            Node::Map(entries) if !entries.is_empty() && !self.chance(self.style.flow) && self.random.percent(80) => {
                // The first entry on the line of the dash.
                self.out.push(' ');
                for (place, (key, value)) in entries.iter().enumerate() {
                    if place > 0 {
                        self.pad(indent + 2);
                    }
                    self.entry(key, value, indent + 2);
                }
            }
            other => self.value(other, indent + self.style.indent),
        }
    }

    /// The text after a colon or a dash, with its line breaks.
    fn value(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Text(text) if text.is_empty() => {}
            Node::Text(text) => {
                self.out.push(' ');
                self.properties(node);
                self.scalar(text, indent);
            }
            Node::List(_) | Node::Map(_) if self.is_aliased(node) => return self.end_line(),
            Node::List(items) if items.is_empty() || self.chance(self.style.flow) => {
                self.out.push(' ');
                self.properties(node);
                self.flow(node, indent);
            }
            Node::Map(entries) if entries.is_empty() || self.chance(self.style.flow) => {
                self.out.push(' ');
                self.properties(node);
                self.flow(node, indent);
            }
            nested => {
                self.out.push(' ');
                self.properties(nested);
                self.end_line();
                return self.block(nested, indent);
            }
        }
        self.end_line();
    }

    fn scalar(&mut self, text: &str, indent: usize) {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain && self.style.quoted_keys > 20 && self.random.percent(3) {
            // Text of a block: never a number.
            let header = self.random.one(&["|", ">", "|-", ">-", "|+", ">1"]);
            self.out += &format!("{header}\n{}{text}", " ".repeat(indent.max(1)));
        } else {
            self.out += &text.replace('\n', &format!("\n{}", " ".repeat(indent)));
        }
    }

    /// An anchor or a tag, where chance has it; what is anchored can be aliased from then on.
    fn properties(&mut self, node: &Node) {
        let has_own = matches!(node, Node::Text(text) if text.starts_with(['!', '&', '*']));
        if has_own {
            return;
        }
        if self.chance(self.style.anchors) {
            self.out += &format!("&a{} ", self.anchored.len());
            self.anchored.push(node.clone());
        }
        if self.chance(self.style.tags) {
            let tag = match node {
                Node::Text(_) => "! ",
                Node::List(_) => "!!seq ",
                Node::Map(_) => "!!map ",
            };
            // A scalar with a tag is another value: only now and then.
            if !matches!(node, Node::Text(_)) || self.random.percent(10) {
                self.out += tag;
            }
        }
    }

    /// Writes an alias where the same is anchored.
    fn is_aliased(&mut self, node: &Node) -> bool {
        let Some(place) = self.anchored.iter().rposition(|other| other == node) else { return false };
        let aliased = self.random.percent(70);
        if aliased {
            self.out += &format!(" *a{place}");
        }
        aliased
    }

    /// A value in braces and brackets, or a scalar.
    fn flow(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Text(text) => self.out += text,
            Node::List(items) => {
                self.out.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.separate(place, indent);
                    self.flow(item, indent);
                }
                self.close(']', items.is_empty());
            }
            Node::Map(entries) => {
                self.out.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    self.separate(place, indent);
                    let key = self.key(key);
                    self.out += &format!("{key}: ");
                    self.flow(value, indent);
                }
                self.close('}', entries.is_empty());
            }
        }
    }

    fn separate(&mut self, place: usize, indent: usize) {
        if place > 0 {
            self.out.push(',');
            self.out.push(' ');
        }
        if self.random.percent(5) {
            self.out.push('\n');
            self.pad(indent.max(1));
        }
    }

    fn close(&mut self, bracket: char, empty: bool) {
        if !empty && self.random.percent(5) {
            self.out.push(',');
        }
        self.out.push(bracket);
    }

    fn key(&mut self, key: &str) -> String {
        let plain = key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-');
        match plain && self.chance(self.style.quoted_keys) {
            true if self.random.percent(50) => format!("'{key}'"),
            true => format!("\"{key}\""),
            false => key.to_owned(),
        }
    }

    fn end_line(&mut self) {
        if self.chance(self.style.comments) {
            self.out += self.random.one(&[" # why", "\t# tab", "\n# own line", " #", "\n    # deep", "\n"]);
        }
        if self.random.percent(1) {
            self.out += self.random.one(&[" ", "\t", "   "]);
        }
        self.out.push('\n');
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn chance(&mut self, chance: u32) -> bool {
        self.random.percent(chance)
    }
}
