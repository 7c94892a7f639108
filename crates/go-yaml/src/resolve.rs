//! The type of a plain YAML scalar by the rules of Go's yaml.v3 (its `resolve.go`).
//!
//! They are neither YAML 1.1's nor 1.2's: `1_000` is 1000, `010` and `0o10` are 8, `1e+06` is a float that integer fields
//! accept, and `yes` is a string that only bool fields accept as true.

use std::rc::Rc;

use crate::node::Scalar;
use crate::timestamp;
use crate::value::Value;

/// A scalar's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved<'s> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`, in three spellings each.
    Bool(bool),
    /// Between the smallest `i64` and the largest `u64`.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A date or a time.
    Timestamp(&'s str),
    /// Anything else.
    Text(&'s str),
}

impl Resolved<'_> {
    /// Its tag, as Go's errors name it.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Resolved::Null => "!!null",
            Resolved::Bool(_) => "!!bool",
            Resolved::Int(_) => "!!int",
            Resolved::Float(_) => "!!float",
            Resolved::Timestamp(_) => "!!timestamp",
            Resolved::Text(_) => "!!str",
        }
    }
}

/// Resolves a scalar; a quoted one is text.
#[must_use]
pub fn resolve(scalar: &Scalar) -> Resolved<'_> {
    if scalar.plain { resolve_plain(&scalar.text) } else { Resolved::Text(&scalar.text) }
}

/// Resolves a plain scalar, or one with a tag such as `!!int`.
///
/// # Errors
/// It has another type; the error is the tag of that.
pub(crate) fn resolve_tagged(text: &Rc<str>, tag: Option<&str>) -> Result<Value, &'static str> {
    let found = match tag {
        None | Some("!!timestamp") => resolve_plain(text),
        Some(_) => resolve_without_timestamp(text),
    };
    Ok(match found {
        Resolved::Int(value) if tag == Some("!!float") => Value::Float(value as f64),
        found if tag.is_some_and(|tag| tag != found.tag()) => return Err(found.tag()),
        Resolved::Null => Value::Null,
        Resolved::Bool(value) => Value::Bool(value),
        Resolved::Int(value) => Value::Int(value),
        Resolved::Float(value) => Value::Float(value),
        Resolved::Timestamp(text) => Value::Timestamp(timestamp::parse(text).unwrap_or_default().into()),
        Resolved::Text(_) => Value::Text(Rc::clone(text)),
    })
}

fn resolve_plain(text: &str) -> Resolved<'_> {
    if timestamp::looks_like_one(text) && timestamp::parse(text).is_some() {
        return Resolved::Timestamp(text);
    }
    resolve_without_timestamp(text)
}

/// Whether a plain scalar is a null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn resolve_without_timestamp(text: &str) -> Resolved<'_> {
    match text {
        _ if is_null(text) => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or(Resolved::Text(text)),
    }
}

fn number(text: &str) -> Option<Resolved<'static>> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    // In Go, a number that begins with a dot has no underscores.
    let plain = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(whole) = int(&plain) {
        return Some(Resolved::Int(whole));
    }
    is_float(&plain).then(|| plain.parse().ok()).flatten().filter(|value: &f64| value.is_finite()).map(Resolved::Float)
}

/// A whole number as Go's `ParseInt` and `ParseUint` parse it with base 0, within `i64` or `u64`.
fn int(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, text.get(1..)?),
        [b'+', ..] => (1, text.get(1..)?),
        _ => (1, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = sign * i128::from_str_radix(digits, radix).ok()?;
    // Go's ParseUint takes no sign.
    let largest = if digits.len() == text.len() || sign == 1 && !text.starts_with('+') {
        i128::from(u64::MAX)
    } else {
        i128::from(i64::MAX)
    };
    (i128::from(i64::MIN)..=largest).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, yaml.v3's float.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    mantissa_ok && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> Scalar {
        Scalar { text: text.into(), plain: true }
    }

    #[track_caller]
    fn reads(text: &str, expected: Resolved<'_>) {
        assert_eq!(resolve(&plain(text)), expected, "{text}");
    }

    #[test]
    fn reads_whole_numbers_as_go_does() {
        for (text, value) in [
            ("0", 0),
            ("007", 7),
            ("010", 8),
            ("0o10", 8),
            ("0x1F", 31),
            ("0b101", 5),
            ("-0b101", -5),
            ("+12", 12),
            ("-3", -3),
            ("1_000", 1000),
            ("9223372036854775807", i128::from(i64::MAX)),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("18446744073709551615", i128::from(u64::MAX)),
        ] {
            reads(text, Resolved::Int(value));
        }
    }

    #[test]
    fn reads_floats_as_go_does() {
        for (text, value) in [
            ("1e+06", 1e6),
            ("1e21", 1e21),
            ("1E-05", 1e-5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-0.5", -0.5),
            ("089", 89.0),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("1.7976931348623157e308", f64::MAX),
            (".inf", f64::INFINITY),
            ("-.INF", f64::NEG_INFINITY),
        ] {
            reads(text, Resolved::Float(value));
        }
        assert!(matches!(resolve(&plain(".nan")), Resolved::Float(value) if value.is_nan()));
    }

    #[test]
    fn everything_else_is_text() {
        for text in
            ["1e999", "inf", "nan", "1k", "1 000", "1,000", "yes", "0x", "--1", "+-1", ".", "-", "1e", "e5", "08x"]
        {
            reads(text, Resolved::Text(text));
        }
        let quoted = Scalar { text: "5".into(), plain: false };
        assert_eq!(resolve(&quoted), Resolved::Text("5"));
    }

    #[test]
    fn reads_null_and_bools() {
        for text in ["", "~", "null", "NULL"] {
            reads(text, Resolved::Null);
        }
        reads("True", Resolved::Bool(true));
        reads("FALSE", Resolved::Bool(false));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}|[-+0-9xob._eE]{0,24}") {
            let _ = resolve(&plain(&text));
        }

        #[test]
        fn a_shortest_float_reads_back(value in proptest::num::f64::NORMAL) {
            let text = format!("{value:e}");
            reads_back(&text, value)?;
        }
    }

    fn reads_back(text: &str, value: f64) -> Result<(), TestCaseError> {
        let read = match resolve(&plain(text)) {
            Resolved::Int(whole) => whole as f64,
            Resolved::Float(read) => read,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(read, value);
        Ok(())
    }
}
