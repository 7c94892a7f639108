//! The two kinds of durations that Mimir reads: Prometheus' (`model.ParseDuration`) and Go's own (`time.ParseDuration`).

use super::go::quote;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Units of Prometheus in the order in which they may stand, in nanoseconds.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * DAY), ("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", MILLISECOND)];

/// Why a text is no Prometheus duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoDuration {
    /// There is none, or numbers and units are not in order.
    Malformed(String),
    /// Go cannot hold it.
    TooLong,
}

impl NoDuration {
    /// What Prometheus says of it.
    pub(super) fn go(self) -> String {
        match self {
            NoDuration::Malformed(go) => go,
            NoDuration::TooLong => "duration out of range".to_owned(),
        }
    }
}

/// Reads a Prometheus duration in nanoseconds.
pub(super) fn prometheus(text: &str) -> Result<i64, NoDuration> {
    match text {
        "0" => return Ok(0),
        "" => return Err(NoDuration::Malformed("empty duration string".to_owned())),
        _ => {}
    }
    let malformed = || NoDuration::Malformed(format!("not a valid duration string: {}", quote(text)));
    let (mut rest, mut next_unit, mut total) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let (digits, after) = split(rest, |byte| byte.is_ascii_digit());
        let (name, after) = split(after, |byte| !byte.is_ascii_digit());
        let count: u64 = digits.parse().map_err(|_| malformed())?;
        if name.is_empty() {
            return Err(malformed());
        }
        let (place, (_, length)) = UNITS.iter().enumerate().find(|(_, (unit, _))| *unit == name).ok_or_else(|| {
            NoDuration::Malformed(format!("unknown unit {} in duration {}", quote(name), quote(text)))
        })?;
        if place < next_unit {
            return Err(malformed());
        }
        next_unit = place + 1;
        let part = count.checked_mul(*length).filter(|part| *part <= 1 << 63).ok_or(NoDuration::TooLong)?;
        total = total.checked_add(part).filter(|sum| *sum < 1 << 63).ok_or(NoDuration::TooLong)?;
        rest = after;
    }
    i64::try_from(total).map_err(|_| NoDuration::TooLong)
}

/// Whether Go's `time.ParseDuration` reads the text.
pub(super) fn is_go(text: &str) -> bool {
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
    let (whole, after) = split(text, |byte| byte.is_ascii_digit());
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => split(after, |byte| byte.is_ascii_digit()),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, after) = split(after, |byte| byte != b'.' && !byte.is_ascii_digit());
    let length = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1000,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => HOUR,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    let part = whole.checked_mul(length).filter(|part| *part <= 1 << 63)?;
    let part = part.checked_add((fraction * length as f64) as u64).filter(|part| *part <= 1 << 63)?;
    Some((part, after))
}

fn split(text: &str, is_in: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !is_in(byte)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert_eq!(prometheus(text).map_err(NoDuration::go), Err(go.to_owned()));
        }
        assert_eq!(prometheus("1h30m"), Ok(5_400_000_000_000));
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
        fn agrees_with_the_durations_that_the_edge_reads(text in "([0-9]{1,20}(y|w|d|h|m|s|ms|.)){0,4}|\\PC{0,12}") {
            let own = crate::duration::parse(&text);
            match prometheus(&text) {
                Ok(nanoseconds) => prop_assert_eq!(own.map(|own| own.as_nanos()), Ok(nanoseconds as u128)),
                Err(_) => prop_assert!(own.is_err()),
            }
            is_go(&text);
        }
    }
}
