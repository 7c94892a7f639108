//! Mimir's rules over lists, beyond the types of their items.

use std::collections::HashSet;

use go_regexp::{Pattern, PatternError, SyntaxError};
use go_yaml::{Content, Entry, Node, Position};

use super::go::quote;
use crate::code::Code;
use crate::value::{as_bool, as_text, is_null, quote as quoted, shortened};

/// The first broken rule of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListViolation {
    pub(super) code: Code,
    /// Completes a sentence that begins with the field's name.
    pub(super) predicate: String,
    /// Mimir's error.
    pub(super) go: String,
    /// The faulty item.
    pub(super) position: Position,
}

fn items(node: &Node) -> impl Iterator<Item = &Node> {
    let items = match &node.content {
        Content::Sequence(items) => items.as_slice(),
        _ => &[],
    };
    items.iter().map(|item| &**item)
}

/// The items without nulls, which Go skips.
fn kept(node: &Node) -> impl Iterator<Item = &Node> {
    items(node).filter(|item| !is_null(item))
}

/// The value of a setting of an item, unless it is null.
fn setting<'n>(item: &'n Node, name: &str) -> Option<&'n Node> {
    let Content::Mapping(entries) = &item.content else { return None };
    entries.iter().find(|Entry { key, is_null, .. }| !is_null && **key == *name).map(|entry| &*entry.value)
}

fn text<'n>(item: &'n Node, name: &str) -> &'n str {
    setting(item, name).and_then(as_text).unwrap_or_default()
}

/// Go does not skip a null in this list, and Mimir rejects it.
pub(super) fn relabel(node: &Node) -> Option<ListViolation> {
    let (index, item) = items(node).enumerate().find(|(_, item)| is_null(item))?;
    Some(ListViolation {
        code: Code::BrokenRule,
        predicate: format!("has nothing as its item [{index}]: remove it"),
        go: "invalid metric_relabel_configs".to_owned(),
        position: item.position,
    })
}

pub(super) fn cost_attribution(node: &Node) -> Option<ListViolation> {
    let mut outputs = HashSet::new();
    for (index, item) in kept(node).enumerate() {
        let (input, output) = (text(item, "input"), text(item, "output"));
        let label = quote(&format!("{input}:{output}"));
        let (predicate, go) = if input.is_empty() {
            ("no input: write the name of a label".to_owned(), "cost attribution input label must not be empty")
        } else if output.starts_with("__") {
            let output = quoted(&shortened(output));
            (
                format!("the output {output}: write one that does not begin with __"),
                "invalid cost attribution output label",
            )
        } else if !outputs.insert(if output.is_empty() { input } else { output }) {
            ("the output of another one: write each once".to_owned(), "duplicate output label")
        } else {
            continue;
        };
        return Some(ListViolation {
            code: Code::BrokenRule,
            predicate: format!("has in its item [{index}] {predicate}"),
            go: format!("{go}: {label}"),
            position: item.position,
        });
    }
    None
}

pub(super) fn blocked_queries(node: &Node) -> Option<ListViolation> {
    kept(node).enumerate().find_map(|(index, item)| {
        let pattern = text(item, "pattern");
        let at = |code, predicate: String, go: String| ListViolation {
            code,
            predicate: format!("has in its item [{index}] {predicate}"),
            go: format!("blocked_queries[{index}]: {go}"),
            position: item.position,
        };
        if pattern.trim().is_empty() {
            let predicate = "no pattern: write the query that is blocked".to_owned();
            return Some(at(Code::BrokenRule, predicate, "pattern is required".to_owned()));
        }
        if setting(item, "regex").and_then(as_bool) != Some(true) {
            return None;
        }
        match Pattern::check(pattern) {
            // Whether Mimir takes one that is too large for the edge is not known.
            Ok(()) | Err(SyntaxError { error: PatternError::TooLarge, .. }) => None,
            Err(SyntaxError { error, go }) => Some(at(
                Code::BadExpression,
                format!("the pattern {}, which {error}", quoted(&shortened(pattern))),
                format!("invalid regex pattern {}: {go}", quote(pattern)),
            )),
        }
    })
}
