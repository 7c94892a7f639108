//! The two kinds of durations that Mimir reads: Prometheus' (`model.ParseDuration`), such as `10m`, `1h30m`, `1d` and `0`, and
//! Go's own (`time.ParseDuration`).

use std::time::Duration;

use crate::schema::go_quote;

/// Units from the largest to the smallest, with their milliseconds. A duration names each at most once, in this order.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 60 * 60 * 1000),
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Years and weeks appear in [`render`] only where they divide the rest exactly.
const EXACT_UNITS: usize = 2;

/// The longest duration: Go holds one as nanoseconds in an `int64`.
const MAX_MILLIS: u64 = i64::MAX as u64 / 1_000_000;

/// Why a text is no duration, in Prometheus' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DurationError {
    /// Empty, or not numbers with units in order.
    Malformed(String),
    /// Longer than Go can hold.
    TooLong(String),
}

/// Reads a Prometheus duration; no sign, no fraction and no white space.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    match text {
        "0" => return Ok(Duration::ZERO),
        "" => return Err(DurationError::Malformed("empty duration string".to_owned())),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", go_quote(text));
    let out_of_range = || DurationError::TooLong("duration out of range".to_owned());
    let (mut rest, mut units, mut total) = (text, UNITS.iter(), 0_u64);
    while !rest.is_empty() {
        let (digits, after) = split_at_first(rest, |byte| !byte.is_ascii_digit());
        let (unit, next) = split_at_first(after, |byte| byte.is_ascii_digit());
        if digits.is_empty() || unit.is_empty() {
            return Err(DurationError::Malformed(invalid()));
        }
        // All digits, so the only way to fail is a number too large.
        let count: u64 = digits.parse().map_err(|_| DurationError::TooLong(invalid()))?;
        let &(_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(|| {
            let is_known = UNITS.iter().any(|(name, _)| *name == unit);
            let unknown = || format!("unknown unit {} in duration {}", go_quote(unit), go_quote(text));
            DurationError::Malformed(if is_known { invalid() } else { unknown() })
        })?;
        let part = count.checked_mul(millis).ok_or_else(out_of_range)?;
        total = total.checked_add(part).filter(|sum| *sum <= MAX_MILLIS).ok_or_else(out_of_range)?;
        rest = next;
    }
    Ok(Duration::from_millis(total))
}

/// The spelling of Prometheus, which [`parse`] reads back; `0s` for none.
pub(crate) fn render(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (index, (unit, millis)) in UNITS.iter().enumerate() {
        let count = rest / millis;
        if count > 0 && (index >= EXACT_UNITS || rest % millis == 0) {
            text.push_str(&format!("{count}{unit}"));
            rest %= millis;
        }
    }
    text
}

/// Whether Go's `time.ParseDuration` reads the text.
pub(crate) fn is_go(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return true;
    }
    let (mut rest, mut total) = (unsigned, 0_u64);
    while !rest.is_empty() {
        let Some((part, after)) = go_part(rest) else { return false };
        let Some(sum) = total.checked_add(part).filter(|sum| *sum <= 1 << 63) else { return false };
        (rest, total) = (after, sum);
    }
    // Go has one nanosecond more below zero than above.
    !unsigned.is_empty() && (text.starts_with('-') || total < 1 << 63)
}

/// One number with its unit, in nanoseconds, and what follows.
fn go_part(text: &str) -> Option<(u64, &str)> {
    let (whole, after) = split_at_first(text, |byte| !byte.is_ascii_digit());
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => split_at_first(after, |byte| !byte.is_ascii_digit()),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, after) = split_at_first(after, |byte| byte == b'.' || byte.is_ascii_digit());
    const SECOND: u64 = 1_000_000_000;
    let length = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    let part = whole.checked_mul(length).filter(|part| *part <= 1 << 63)?;
    let part = part.checked_add((fraction * length as f64) as u64).filter(|part| *part <= 1 << 63)?;
    Some((part, after))
}

fn split_at_first(text: &str, stop: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(stop).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(text: &str, millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }

    #[test]
    fn reads_every_unit_and_their_sums() {
        reads("0", 0);
        reads("0s", 0);
        reads("324ms", 324);
        reads("10m", 600_000);
        reads("1h30m", 5_400_000);
        reads("1d", 86_400_000);
        reads("1w", 604_800_000);
        reads("1y2d3h", 31_536_000_000 + 172_800_000 + 10_800_000);
    }

    #[test]
    fn rejects_what_prometheus_rejects() {
        for text in ["", "1", "10", "-1m", "1.5h", " 1m", "1m ", "m", "1m1h", "1m2m", "1ns", "1M", "1ä", "ä", "0x1m"]
        {
            assert!(matches!(parse(text), Err(DurationError::Malformed(_))), "{text:?}");
        }
        for text in ["293y", "99999999999999999999s", "18446744073709551615w", "292y9999w"] {
            assert!(matches!(parse(text), Err(DurationError::TooLong(_))), "{text}");
        }
        assert!(parse("292y").is_ok());
    }

    #[test]
    fn renders_as_prometheus_does() {
        for text in ["0s", "5s", "10m", "1h30m", "1d", "1w", "1y", "8d", "1d1h", "1m1s1ms"] {
            assert_eq!(render(parse(text).expect("a duration")), text);
        }
        assert_eq!(render(Duration::from_secs(36 * 3600)), "1d12h");
    }

    #[test]
    fn says_of_a_duration_what_prometheus_says() {
        for (text, go) in [
            ("", "empty duration string"),
            ("10", r#"not a valid duration string: "10""#),
            ("-10m", r#"not a valid duration string: "-10m""#),
            ("1h1h", r#"not a valid duration string: "1h1h""#),
            ("99999999999999999999s", r#"not a valid duration string: "99999999999999999999s""#),
            ("1.5h", r#"unknown unit "." in duration "1.5h""#),
            ("10M", r#"unknown unit "M" in duration "10M""#),
            ("1ä", r#"unknown unit "ä" in duration "1ä""#),
            ("300y", "duration out of range"),
        ] {
            let (Err(DurationError::Malformed(error)) | Err(DurationError::TooLong(error))) = parse(text) else {
                panic!("{text} is a duration");
            };
            assert_eq!(error, go);
        }
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn reads_the_durations_of_go() {
        for text in ["0", "+0", "-0", "1h", "-1.5h", "1h1h", ".5s", "5.s", "1µs", "1μs", "2562047h47m16.854775807s"] {
            assert!(is_go(text), "{text}");
        }
        for text in
            ["", "-", "1", "1d", ".s", "1 h", "1h-1m", "2562048h", "99999999999999999999ns", "9223372036854775808ns"]
        {
            assert!(!is_go(text), "{text}");
        }
        assert!(is_go("-9223372036854775808ns"));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_renders(millis in 0..=MAX_MILLIS) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&render(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "([0-9]{1,20}(y|w|d|h|m|s|ms|.)){0,4}|\\PC{0,20}") {
            let _ = parse(&text);
            is_go(&text);
        }
    }
}
