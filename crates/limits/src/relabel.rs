//! Relabelling rules as configured, not compiled (Prometheus `model/relabel/relabel.go`). [`check()`] decides whether Mimir
//! accepts them.
//!
//! Mimir does not run Prometheus' validation of rules (a modulus for `hashmod`, a `target_label` for `replace`) when it loads
//! overrides, and neither does this module.

use std::rc::Rc;
use std::sync::Arc;

use crate::value::{FieldValue, ValueError, as_text, as_uint, is_null, list, mismatch, quote, set, shortened};
use crate::yaml::{Content, Entry, Node};

mod check;

pub(crate) use check::{ExpressionCache, check};

/// One item of `metric_relabel_configs`, with Prometheus' defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelabelRule {
    /// Labels whose values are joined by `separator` and matched.
    pub source_labels: Arc<[Arc<str>]>,
    /// `;` unless set.
    pub separator: Arc<str>,
    /// The label to write; may refer to groups of the match.
    pub target_label: Arc<str>,
    /// An RE2 expression that must match the whole value; `(.*)` unless set.
    pub regex: Arc<str>,
    /// The modulus of a hash.
    pub modulus: u64,
    /// `$1` unless set.
    pub replacement: Arc<str>,
    /// What the rule does.
    pub action: RelabelAction,
}

impl Default for RelabelRule {
    fn default() -> Self {
        RelabelRule {
            source_labels: Arc::default(),
            separator: ";".into(),
            target_label: "".into(),
            regex: "(.*)".into(),
            modulus: 0,
            replacement: "$1".into(),
            action: RelabelAction::Replace,
        }
    }
}

crate::named_enum! {
    /// What a relabelling rule does.
    RelabelAction {
        /// Writes the replacement into the target label.
        Replace = "replace",
        /// Drops the series unless the value matches.
        Keep = "keep",
        /// Drops the series if the value matches.
        Drop = "drop",
        /// Drops the series unless the value equals the target label's.
        KeepEqual = "keepequal",
        /// Drops the series if the value equals the target label's.
        DropEqual = "dropequal",
        /// Writes a hash of the value, modulo `modulus`, into the target label.
        HashMod = "hashmod",
        /// Copies every label whose name matches to the name that the replacement gives.
        LabelMap = "labelmap",
        /// Removes every label whose name matches.
        LabelDrop = "labeldrop",
        /// Removes every label whose name does not match.
        LabelKeep = "labelkeep",
        /// Writes the value in lower case into the target label.
        Lowercase = "lowercase",
        /// Writes the value in upper case into the target label.
        Uppercase = "uppercase",
    }
}

impl FieldValue for Arc<[RelabelRule]> {
    fn read(&mut self, node: &Node) -> Result<(), ValueError> {
        let rules: Result<Vec<_>, _> =
            list(node)?.iter().enumerate().map(|(index, item)| read_item(index, item)).collect();
        *self = rules?.into();
        Ok(())
    }

    fn render(&self) -> String {
        let items: Vec<_> = self.iter().map(render).collect();
        format!("[{}]", items.join(", "))
    }
}

fn read_item(index: usize, item: &Rc<Node>) -> Result<RelabelRule, ValueError> {
    let at = |ValueError(message)| ValueError::new(format!("has rule {} {message}", index + 1));
    let entries = match &item.content {
        Content::Mapping(entries) => entries,
        _ if is_null(item) => return Err(at(ValueError::new("that is null: remove it"))),
        _ => {
            let ValueError(message) = mismatch(item, "struct", "a mapping such as {action: drop, regex: tmp_.*}");
            return Err(at(ValueError(format!("that {message}"))));
        }
    };
    let mut rule = RelabelRule::default();
    for entry in entries {
        read_setting(&mut rule, entry).map_err(at)?;
    }
    Ok(rule)
}

fn read_setting(rule: &mut RelabelRule, Entry { key, value, .. }: &Entry) -> Result<(), ValueError> {
    let read = match &**key {
        "source_labels" => rule.source_labels.read(value),
        "separator" => rule.separator.read(value),
        "target_label" => rule.target_label.read(value),
        "regex" => rule.regex.read(value),
        "modulus" => set(&mut rule.modulus, value, as_uint, "uint64", "a whole number from 0"),
        "replacement" => rule.replacement.read(value),
        "action" => read_action(&mut rule.action, value),
        other => {
            let message = format!("with the unknown setting {}: remove it", shortened(other));
            return Err(ValueError::new(message));
        }
    };
    read.map_err(|ValueError(message)| ValueError::new(format!("whose {key} {message}")))
}

fn read_action(action: &mut RelabelAction, node: &Node) -> Result<(), ValueError> {
    // Prometheus ignores case, and not of ASCII alone: the Kelvin sign is a K.
    let read = |node: &Node| RelabelAction::named(&as_text(node)?.to_lowercase());
    set(action, node, read, "string", "an action such as replace, keep or drop")
}

/// The rule as a YAML mapping of its action and what differs from the defaults.
fn render(rule: &RelabelRule) -> String {
    let plain = RelabelRule::default();
    let mut settings = vec![format!("action: {}", rule.action.as_str())];
    if rule.source_labels != plain.source_labels {
        settings.push(format!("source_labels: {}", rule.source_labels.render()));
    }
    let texts = [
        ("separator", &rule.separator, &plain.separator),
        ("target_label", &rule.target_label, &plain.target_label),
        ("regex", &rule.regex, &plain.regex),
        ("replacement", &rule.replacement, &plain.replacement),
    ];
    settings.extend(
        texts.iter().filter(|(_, own, plain)| own != plain).map(|(name, own, _)| format!("{name}: {}", quote(own))),
    );
    if rule.modulus > 0 {
        settings.push(format!("modulus: {}", rule.modulus));
    }
    format!("{{{}}}", settings.join(", "))
}
