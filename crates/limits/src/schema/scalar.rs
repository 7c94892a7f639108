//! What Mimir takes as a single value of each kind: what yaml.v3 decodes into Go's types, and what Mimir's own types read.

use std::net::IpAddr;

use go_regexp::{Pattern, PatternError};
use go_yaml::{Content, Node, Resolved, resolve};

use super::go::{quote, type_error};
use super::{Issue, MimirError};
use crate::code::Code;
use crate::duration::{self, DurationError};
use crate::model::{LabelValueStrategy, NameScheme};
use crate::relabel::RelabelAction;
use crate::value::{quote as quoted, shortened};

/// 2^63 and 2^64, the first numbers that Go's `int64` and `uint64` do not hold. Floats up to and with them pass all the same.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

fn resolved(node: &Node) -> Option<Resolved<'_>> {
    match &node.content {
        Content::Scalar(scalar) => Some(resolve(scalar)),
        _ => None,
    }
}

/// The text of a single value that is not null.
pub(super) fn as_text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Scalar(scalar) if resolve(scalar) != Resolved::Null => Some(&scalar.text),
        _ => None,
    }
}

pub(super) fn as_bool(node: &Node) -> Option<bool> {
    match resolved(node)? {
        Resolved::Bool(value) => Some(value),
        Resolved::Text("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        Resolved::Text("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        _ => None,
    }
}

pub(super) fn as_int(node: &Node) -> Option<i64> {
    match resolved(node)? {
        Resolved::Int(whole) => i64::try_from(whole).ok(),
        // What Go makes of a float that an int64 does not hold depends on the machine; this is what x86 does.
        Resolved::Float(value) if value == TWO_TO_63 => Some(i64::MIN),
        Resolved::Float(value) if value < TWO_TO_63 => Some(value as i64),
        _ => None,
    }
}

pub(super) fn as_float(node: &Node) -> Option<f64> {
    match resolved(node)? {
        Resolved::Int(whole) => Some(whole as f64),
        Resolved::Float(value) => Some(value),
        _ => None,
    }
}

fn is_uint(node: &Node) -> bool {
    match resolved(node) {
        Some(Resolved::Int(whole)) => u64::try_from(whole).is_ok(),
        Some(Resolved::Float(value)) => value <= TWO_TO_64,
        _ => false,
    }
}

fn is_go_duration(node: &Node) -> bool {
    match resolved(node) {
        Some(Resolved::Int(0)) => true,
        Some(Resolved::Text(text)) => duration::is_go(text),
        _ => false,
    }
}

/// A kind of single values.
#[derive(Debug)]
pub(super) struct Scalar {
    /// What the schema calls it.
    pub(super) name: &'static str,
    /// Go's name of its type, which Mimir's errors show.
    go: &'static str,
    /// What to write; completes a sentence.
    wanted: &'static str,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// Whether Go's type holds a value.
    Value(fn(&Node) -> bool),
    /// Whether Mimir's type reads a text.
    Text(fn(&str) -> Result<(), TextError>),
}

/// Why a text is not read.
enum TextError {
    /// Mimir's words alone.
    Mimir(String),
    Issue(Issue),
}

const fn value(name: &'static str, go: &'static str, wanted: &'static str, check: fn(&Node) -> bool) -> Scalar {
    Scalar { name, go, wanted, check: Check::Value(check) }
}

const fn text(name: &'static str, wanted: &'static str, check: fn(&str) -> Result<(), TextError>) -> Scalar {
    Scalar { name, go: "string", wanted, check: Check::Text(check) }
}

/// A regular expression of a relabelling rule.
pub(super) const REGEXP: &str = "regexp_go_anchored";
const WHOLE: &str = "a whole number such as 200000";
const OTEL_STRATEGIES: [&str; 4] = [
    "UnderscoreEscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
    "NoTranslation",
];

pub(super) static SCALARS: [Scalar; 17] = [
    value("bool", "bool", "true or false", |node| as_bool(node).is_some()),
    value("int", "int", WHOLE, |node| as_int(node).is_some()),
    value("int64", "int64", WHOLE, |node| as_int(node).is_some()),
    value("uint", "uint64", "a whole number from 0", is_uint),
    value("float64", "float64", "a number such as 10000", |node| as_float(node).is_some()),
    value("go_duration", "time.Duration", "a duration such as 90s, 1.5h or 1m30s", is_go_duration),
    text("string", "text", |_| Ok(())),
    text("secret_string", "text", |_| Ok(())),
    text("duration", "a duration such as 30s, 10m or 1h30m", check_duration),
    text("csv_string", "one text with commas, such as a,b", |_| Ok(())),
    text("csv_cidr", "one text of networks with commas, such as 10.0.0.0/8,fd00::/8", check_networks),
    text("label_name", "the name of a label", |text| match text {
        "" => Err(TextError::Mimir(format!("{} is not a valid label name", quote(text)))),
        _ => Ok(()),
    }),
    text(REGEXP, "a regular expression", |text| {
        check_regexp(&format!("^(?s:{text})$"), text).map_err(TextError::Issue)
    }),
    text("enum_relabel_action", "an action such as replace, keep or drop", |text| {
        // Not of ASCII alone: the sign of Kelvin is a K.
        known(RelabelAction::named(&text.to_lowercase()).is_some(), "unknown relabel action", text)
    }),
    text("enum_label_value_length_over_limit_strategy", "error, truncate or drop", |text| {
        let is_known = text.is_empty() || LabelValueStrategy::named(text).is_some();
        known(is_known, "unrecognized LabelValueLengthOverLimitStrategy:", text)
    }),
    text(
        "enum_otel_translation_strategy",
        "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation",
        |text| {
            let is_known = text.is_empty() || OTEL_STRATEGIES.contains(&text);
            known(is_known, "unrecognized OTel translation strategy", text)
        },
    ),
    text("enum_name_validation_scheme", "legacy or utf8", |text| {
        known(text.is_empty() || NameScheme::named(text).is_some(), "unrecognized ValidationScheme:", text)
    }),
];

fn known(is_known: bool, otherwise: &str, text: &str) -> Result<(), TextError> {
    if is_known { Ok(()) } else { Err(TextError::Mimir(format!("{otherwise} {}", quote(text)))) }
}

/// Says what is wrong with a value that is not null, as Mimir sees it. A text that its type does not read ends Mimir's load
/// at once.
pub(super) fn check(kind: &Scalar, node: &Node) -> Result<(), Issue> {
    let is_taken = match kind.check {
        Check::Value(check) => check(node),
        Check::Text(check) => match as_text(node) {
            Some(text) => return check(text).map_err(|unread| bad_text(kind, text, unread)),
            None => false,
        },
    };
    if is_taken { Ok(()) } else { Err(wrong_type(node, kind.go, kind.wanted)) }
}

/// What is wrong with a node that Go's type does not hold.
pub(super) fn wrong_type(node: &Node, go: &str, wanted: &str) -> Issue {
    Issue {
        code: Code::WrongType,
        predicate: type_mismatch(node, go, wanted),
        mimir: Some(MimirError::Collected(type_error(node, go))),
    }
}

fn type_mismatch(node: &Node, go: &str, wanted: &str) -> String {
    let scalar = match &node.content {
        Content::Sequence(_) => return format!("is a list: write {wanted}"),
        Content::Mapping(_) => return format!("is a mapping: write {wanted}"),
        Content::Scalar(scalar) => scalar,
    };
    let is_number = matches!(go, "int" | "int64" | "uint64" | "float64");
    let shown = quoted(&shortened(&scalar.text));
    let unquoted = go_yaml::Scalar { text: scalar.text.clone(), plain: true };
    match (resolve(scalar), resolve(&unquoted)) {
        (Resolved::Text(_), Resolved::Int(_) | Resolved::Float(_)) if is_number => {
            format!("is the text {shown}, not a number: write it without quotes")
        }
        (Resolved::Text(_), Resolved::Bool(_)) if go == "bool" => {
            format!("is the text {shown}, not true or false: write it without quotes")
        }
        (Resolved::Text(_), _) => format!("is {shown}: write {wanted}"),
        (Resolved::Int(_) | Resolved::Float(_), _) if is_number => {
            format!("is {}, which is out of range: write {wanted}", shortened(&scalar.text))
        }
        _ => format!("is {}: write {wanted}", shortened(&scalar.text)),
    }
}

fn bad_text(kind: &Scalar, text: &str, unread: TextError) -> Issue {
    match unread {
        TextError::Mimir(go) => Issue {
            code: Code::BadValue,
            predicate: format!("is {}: write {}", quoted(&shortened(text)), kind.wanted),
            mimir: Some(MimirError::Fatal(go)),
        },
        TextError::Issue(issue) => issue,
    }
}

fn check_duration(text: &str) -> Result<(), TextError> {
    match duration::parse(text) {
        Ok(_) => Ok(()),
        Err(DurationError::Malformed(go)) => Err(TextError::Mimir(go)),
        Err(DurationError::TooLong(go)) => Err(TextError::Issue(Issue {
            code: Code::BadValue,
            predicate: "is too long: write a duration under 292 years".to_owned(),
            mimir: Some(MimirError::Fatal(go)),
        })),
    }
}

fn check_networks(text: &str) -> Result<(), TextError> {
    match text.split(',').find(|part| !text.is_empty() && !is_cidr(part)) {
        Some(part) => Err(TextError::Mimir(format!("cidr: {part}: invalid CIDR address: {part}"))),
        None => Ok(()),
    }
}

/// Go's `net.ParseCIDR`.
fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_number && length.parse::<u32>().is_ok_and(|length| length <= most)
}

/// Looks at an expression as Go compiles it; `written` is what of it stands in the document.
pub(super) fn check_regexp(expression: &str, written: &str) -> Result<(), Issue> {
    match Pattern::check(expression) {
        // Whether Mimir takes one that is too large for the edge is not known.
        Ok(()) | Err(go_regexp::SyntaxError { error: PatternError::TooLarge, .. }) => Ok(()),
        Err(error) => Err(Issue {
            code: Code::BadExpression,
            predicate: format!("is {}, which {}", quoted(&shortened(written)), error.error),
            mimir: Some(MimirError::Fatal(error.go)),
        }),
    }
}
