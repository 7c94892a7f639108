//! Validates scalars of each kind: those that yaml.v3 decodes into Go's types, and Mimir's own types.

use std::net::IpAddr;

use go_regexp::{Pattern, PatternError};
use go_yaml::{Node, Resolved};

use super::go::{quote, type_error};
use super::{Issue, MimirError};
use crate::code::Code;
use crate::duration::{self, DurationError};
use crate::model::{LabelValueStrategy, NameScheme};
use crate::relabel::RelabelAction;
use crate::value::{
    WHOLE, as_bool, as_float, as_int, as_text, as_uint, mismatch, quote as quoted, resolved, shortened,
};

fn is_go_duration(node: &Node) -> bool {
    match resolved(node) {
        Some(Resolved::Int(0)) => true,
        Some(Resolved::Text(text)) => duration::is_go(text),
        _ => false,
    }
}

/// A kind of scalar.
#[derive(Debug)]
pub(super) struct Scalar {
    /// Its name in the schema.
    pub(super) name: &'static str,
    /// Go's name of its type, for Mimir's errors.
    go: &'static str,
    /// What to write; completes a sentence.
    wanted: &'static str,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// Whether Go's type can hold a value.
    Value(fn(&Node) -> bool),
    /// Whether Mimir's type accepts a text.
    Text(fn(&str) -> Result<(), TextError>),
}

/// Why a text is rejected.
enum TextError {
    /// Mimir's error, for our standard message.
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
    value("uint", "uint64", "a whole number from 0", |node| as_uint(node).is_some()),
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
        // Not only ASCII: the Kelvin sign is a K.
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

/// Checks a value that is not null. A text that its type rejects aborts Mimir's decoding.
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

/// The fault of a node that Go's type cannot hold.
pub(super) fn wrong_type(node: &Node, go: &str, wanted: &str) -> Issue {
    Issue {
        code: Code::WrongType,
        predicate: mismatch(node, go, wanted).0,
        mimir: Some(MimirError::Collected(type_error(node, go))),
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

/// Checks an expression as Go compiles it; `written` is its text in the document.
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
