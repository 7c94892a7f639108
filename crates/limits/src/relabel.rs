//! Relabelling rules as configured: read as Mimir reads them, not compiled (Prometheus `model/relabel/relabel.go`). Whether
//! Mimir takes them is for [`check()`] to say.
//!
//! What Prometheus asks of a rule beyond its settings' types, a modulus for `hashmod` or a `target_label` for `replace`, Mimir
//! does not ask when it loads overrides, so it is not asked here.

use std::rc::Rc;
use std::sync::Arc;

use crate::named::named_enum;
use crate::value::{FieldValue, ValueError, list, quote, scalar, shortened, text, wants, wants_kind};
use crate::yaml::{Content, Entry, Node};
use go_yaml::Resolved;

mod check;

pub(crate) use check::{ExpressionCache, check};

/// One item of `metric_relabel_configs`, with Prometheus' defaults where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelabelRule {
    /// Labels whose values are joined by `separator` and matched.
    pub source_labels: Arc<[Arc<str>]>,
    /// `;` unless set.
    pub separator: Arc<str>,
    /// The label that is written; may refer to groups of the match.
    pub target_label: Arc<str>,
    /// An RE2 expression that must match the whole value; `(.*)` unless set.
    pub regex: Arc<str>,
    /// What a hash is taken modulo of.
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

named_enum! {
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
        Content::Scalar(_) if text(item).is_ok_and(|text| text.is_none()) => {
            return Err(at(ValueError::new("that is null: remove it")));
        }
        content => {
            let ValueError(message) = wants_kind("a mapping such as {action: drop, regex: tmp_.*}", content);
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
        "modulus" => read_modulus(&mut rule.modulus, value),
        "replacement" => rule.replacement.read(value),
        "action" => read_action(&mut rule.action, value),
        other => {
            let message = format!("with the unknown setting {}: remove it", shortened(other));
            return Err(ValueError::new(message));
        }
    };
    read.map_err(|ValueError(message)| ValueError::new(format!("whose {key} {message}")))
}

fn read_modulus(modulus: &mut u64, node: &Node) -> Result<(), ValueError> {
    const WANTED: &str = "a whole number from 0";
    *modulus = match scalar(node, WANTED)? {
        Resolved::Null => return Ok(()),
        Resolved::Int(whole) => u64::try_from(whole).map_err(|_| wants(WANTED, Resolved::Int(whole)))?,
        // yaml.v3 cuts a fraction off. What it makes of the others that it takes depends on the machine: they become 0,
        // with which the rule is left to Mimir.
        Resolved::Float(value) if value < TWO_TO_64 => value as u64,
        Resolved::Float(TWO_TO_64) => 0,
        other => return Err(wants(WANTED, other)),
    };
    Ok(())
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// Upper and lower case are the same to Prometheus.
fn read_action(action: &mut RelabelAction, node: &Node) -> Result<(), ValueError> {
    if let Some(text) = text(node)? {
        // Not of ASCII alone: the sign of Kelvin is a K.
        let lower = text.to_lowercase();
        *action = RelabelAction::named(&lower).ok_or_else(|| {
            let names: Vec<_> = RelabelAction::ALL.iter().map(|known| known.as_str()).collect();
            wants(&format!("one of {}", names.join(", ")), Resolved::Text(text))
        })?;
    }
    Ok(())
}

/// The rule as a YAML mapping of what differs from the defaults, the action always.
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
