//! What Mimir takes as a single value of each kind: what yaml.v3 decodes into Go's types, and what Mimir's own types read.

use std::net::IpAddr;

use go_regexp::{Pattern, PatternError};
use go_yaml::{Content, Node, Resolved, resolve};

use super::duration::{self, NoDuration};
use super::go::{quote, type_error};
use super::table::Scalar;
use super::{Issue, MimirError};
use crate::code::Code;
use crate::relabel::RelabelAction;
use crate::value::{quote as quoted, shortened};

/// 2^63 and 2^64, the first numbers that Go's `int64` and `uint64` do not hold. Floats up to and with them pass all the same.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

pub(super) fn is_null(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar) if resolve(scalar) == Resolved::Null)
}

/// The text of a single value that is not null.
pub(super) fn as_text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Scalar(scalar) if resolve(scalar) != Resolved::Null => Some(&scalar.text),
        _ => None,
    }
}

pub(super) fn as_bool(node: &Node) -> Option<bool> {
    let Content::Scalar(scalar) = &node.content else { return None };
    match resolve(scalar) {
        Resolved::Bool(value) => Some(value),
        Resolved::Text("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        Resolved::Text("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        _ => None,
    }
}

pub(super) fn as_int(node: &Node) -> Option<i64> {
    let Content::Scalar(scalar) = &node.content else { return None };
    match resolve(scalar) {
        Resolved::Int(whole) => i64::try_from(whole).ok(),
        // What Go makes of a float that an int64 does not hold depends on the machine; this is what x86 does.
        Resolved::Float(value) if value == TWO_TO_63 => Some(i64::MIN),
        Resolved::Float(value) if value < TWO_TO_63 => Some(value as i64),
        _ => None,
    }
}

pub(super) fn as_float(node: &Node) -> Option<f64> {
    let Content::Scalar(scalar) = &node.content else { return None };
    match resolve(scalar) {
        Resolved::Int(whole) => Some(whole as f64),
        Resolved::Float(value) => Some(value),
        _ => None,
    }
}

fn is_uint(node: &Node) -> bool {
    let Content::Scalar(scalar) = &node.content else { return false };
    match resolve(scalar) {
        Resolved::Int(whole) => u64::try_from(whole).is_ok(),
        Resolved::Float(value) => value <= TWO_TO_64,
        _ => false,
    }
}

fn is_go_duration(node: &Node) -> bool {
    let Content::Scalar(scalar) = &node.content else { return false };
    match resolve(scalar) {
        Resolved::Int(0) => true,
        Resolved::Text(text) => duration::is_go(text),
        _ => false,
    }
}

/// Says what is wrong with a value that is not null, as Mimir sees it.
pub(super) fn check(kind: Scalar, node: &Node) -> Result<(), Issue> {
    let is_taken = match kind {
        Scalar::Bool => as_bool(node).is_some(),
        Scalar::Int(_) => as_int(node).is_some(),
        Scalar::Uint => is_uint(node),
        Scalar::Float => as_float(node).is_some(),
        Scalar::GoDuration => is_go_duration(node),
        _ => match as_text(node) {
            Some(text) => return check_text(kind, text),
            None => false,
        },
    };
    if is_taken { Ok(()) } else { Err(wrong_type(node, go_type(kind), wanted(kind))) }
}

fn go_type(kind: Scalar) -> &'static str {
    match kind {
        Scalar::Bool => "bool",
        Scalar::Int(go) => go,
        Scalar::Uint => "uint64",
        Scalar::Float => "float64",
        Scalar::GoDuration => "time.Duration",
        _ => "string",
    }
}

fn wanted(kind: Scalar) -> &'static str {
    match kind {
        Scalar::Bool => "true or false",
        Scalar::Int(_) => "a whole number such as 200000",
        Scalar::Uint => "a whole number from 0",
        Scalar::Float => "a number such as 10000",
        Scalar::Text => "text",
        Scalar::Duration => "a duration such as 30s, 10m or 1h30m",
        Scalar::GoDuration => "a duration such as 90s, 1.5h or 1m30s",
        Scalar::CsvText => "one text with commas, such as a,b",
        Scalar::CsvCidr => "one text of networks with commas, such as 10.0.0.0/8,fd00::/8",
        Scalar::LabelName => "the name of a label",
        Scalar::Regexp => "a regular expression",
        Scalar::RelabelAction => "an action such as replace, keep or drop",
        Scalar::LengthStrategy => "error, truncate or drop",
        Scalar::OtelStrategy => {
            "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation"
        }
        Scalar::NameScheme => "legacy or utf8",
    }
}

/// What is wrong with a node that Go's type does not hold.
pub(super) fn wrong_type(node: &Node, go: &str, wanted: &str) -> Issue {
    Issue {
        code: Code::WrongType,
        predicate: misfit(node, go, wanted),
        mimir: Some(MimirError::Collected(type_error(node, go))),
    }
}

fn misfit(node: &Node, go: &str, wanted: &str) -> String {
    let scalar = match &node.content {
        Content::Sequence(_) => return format!("is a list: write {wanted}"),
        Content::Mapping(_) => return format!("is a mapping: write {wanted}"),
        Content::Scalar(scalar) => scalar,
    };
    let is_number = matches!(go, "int" | "int64" | "uint64" | "float64");
    let shown = quoted(&shortened(&scalar.text));
    let unquoted = resolve_plain(&scalar.text);
    match (resolve(scalar), unquoted) {
        (Resolved::Text(_), Unquoted::Number) if is_number => {
            format!("is the text {shown}, not a number: write it without quotes")
        }
        (Resolved::Text(_), Unquoted::Bool) if go == "bool" => {
            format!("is the text {shown}, not true or false: write it without quotes")
        }
        (Resolved::Text(_), _) => format!("is {shown}: write {wanted}"),
        (Resolved::Int(_) | Resolved::Float(_), _) if is_number => {
            format!("is {}, which is out of range: write {wanted}", shortened(&scalar.text))
        }
        _ => format!("is {}: write {wanted}", shortened(&scalar.text)),
    }
}

enum Unquoted {
    Number,
    Bool,
    Other,
}

fn resolve_plain(text: &str) -> Unquoted {
    match resolve(&go_yaml::Scalar { text: text.into(), plain: true }) {
        Resolved::Int(_) | Resolved::Float(_) => Unquoted::Number,
        Resolved::Bool(_) => Unquoted::Bool,
        _ => Unquoted::Other,
    }
}

/// A text that its type does not read ends Mimir's load at once.
fn check_text(kind: Scalar, text: &str) -> Result<(), Issue> {
    let one_of = |values: &[&str]| values.contains(&text);
    let bad = |mimir: String| Err(bad_text(kind, text, mimir));
    match kind {
        Scalar::Duration => match duration::prometheus(text) {
            Ok(_) => Ok(()),
            Err(NoDuration::TooLong) => Err(Issue {
                predicate: "is too long: write a duration under 292 years".to_owned(),
                ..bad_text(kind, text, NoDuration::TooLong.go())
            }),
            Err(error) => bad(error.go()),
        },
        Scalar::CsvCidr if !text.is_empty() => match text.split(',').find(|part| !is_cidr(part)) {
            Some(part) => bad(format!("cidr: {part}: invalid CIDR address: {part}")),
            None => Ok(()),
        },
        Scalar::LabelName if text.is_empty() => bad(format!("{} is not a valid label name", quote(text))),
        Scalar::Regexp => check_regexp(&format!("^(?s:{text})$"), text),
        // Not of ASCII alone: the sign of Kelvin is a K.
        Scalar::RelabelAction if !RelabelAction::ALL.iter().any(|known| known.as_str() == text.to_lowercase()) => {
            bad(format!("unknown relabel action {}", quote(text)))
        }
        Scalar::LengthStrategy if !one_of(&["", "error", "truncate", "drop"]) => {
            bad(format!("unrecognized LabelValueLengthOverLimitStrategy: {}", quote(text)))
        }
        Scalar::OtelStrategy
            if !(text.is_empty() || wanted(kind).split([',', ' ']).any(|known| known == text && known != "or")) =>
        {
            bad(format!("unrecognized OTel translation strategy {}", quote(text)))
        }
        Scalar::NameScheme if !one_of(&["", "legacy", "utf8"]) => {
            bad(format!("unrecognized ValidationScheme: {}", quote(text)))
        }
        _ => Ok(()),
    }
}

fn bad_text(kind: Scalar, text: &str, mimir: String) -> Issue {
    Issue {
        code: Code::BadValue,
        predicate: format!("is {}: write {}", quoted(&shortened(text)), wanted(kind)),
        mimir: Some(MimirError::Ends(mimir)),
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
            mimir: Some(MimirError::Ends(error.go)),
        }),
    }
}
