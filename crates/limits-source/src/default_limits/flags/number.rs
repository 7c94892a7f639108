//! Numbers as Go's `flag` package reads them.

/// A whole number: decimal, `0x`, `0o`, `0b` or a leading 0 for octal, with underscores between digits.
pub(super) fn int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        based if based.starts_with("0x") => (16, based.get(2..)?),
        based if based.starts_with("0o") => (8, based.get(2..)?),
        based if based.starts_with("0b") => (2, based.get(2..)?),
        "0" => (10, "0"),
        based if based.starts_with('0') => (8, based.get(1..)?),
        decimal => (10, decimal),
    };
    let after_prefix = radix != 10;
    let digits = if after_prefix { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let well_separated = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    if !well_separated || !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    i64::try_from(if negative { -size } else { size }).ok()
}

/// A decimal float, `inf` or `nan` in any letter case, spelled so that YAML reads the same.
pub(super) fn float(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    let named = text.chars().all(|character| character.is_ascii_alphabetic() || matches!(character, '+' | '-'));
    match value {
        value if value.is_nan() => Some(".nan".to_owned()),
        value if value.is_infinite() && !named => None,
        f64::INFINITY => Some(".inf".to_owned()),
        f64::NEG_INFINITY => Some("-.inf".to_owned()),
        value if value == value.trunc() && value.abs() < 1e15 => Some(format!("{value:.1}")),
        value => Some(format!("{value:e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_gos() {
        for (text, expected) in [
            ("500", Some(500)),
            ("-5", Some(-5)),
            ("+5", Some(5)),
            ("0", Some(0)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("0X_1f", Some(31)),
            ("0b11", Some(3)),
            ("0o17", Some(15)),
            ("1_000", Some(1000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("089", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("--5", None),
            ("0x", None),
            ("1e3", None),
            ("1.0", None),
            ("", None),
            (" 1", None),
        ] {
            assert_eq!(int(text), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_gos_and_spelled_for_yaml() {
        for (text, expected) in [
            ("500000", Some("500000.0")),
            ("1e6", Some("1000000.0")),
            ("2.5", Some("2.5e0")),
            (".5", Some("5e-1")),
            ("-1", Some("-1.0")),
            ("+Inf", Some(".inf")),
            ("-inf", Some("-.inf")),
            ("NaN", Some(".nan")),
            ("1.7976931348623157e308", Some("1.7976931348623157e308")),
            ("1e400", None),
            ("fast", None),
            ("10k", None),
            ("", None),
        ] {
            assert_eq!(float(text).as_deref(), expected, "{text}");
        }
    }
}
