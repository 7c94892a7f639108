//! Prometheus durations: `10m`, `1h30m`, `1d`, `0` (Prometheus `model.ParseDuration`).

use std::time::Duration;

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

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurationError {
    /// Empty, or not numbers with units in order.
    Malformed,
    /// Longer than Go can hold.
    TooLong,
}

/// Reads a duration; no sign, no fraction and no white space, as Prometheus has it.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(DurationError::Malformed);
    }
    let (mut rest, mut units, mut total) = (text, UNITS.iter(), 0_u64);
    while !rest.is_empty() {
        let (digits, after) = split_at_first(rest, |byte| !byte.is_ascii_digit());
        let (unit, next) = split_at_first(after, |byte| byte.is_ascii_digit());
        let &(_, millis) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
        if digits.is_empty() {
            return Err(DurationError::Malformed);
        }
        // All digits, so the only way to fail is a number too large.
        let count: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
        let part = count.checked_mul(millis).ok_or(DurationError::TooLong)?;
        total = total.checked_add(part).filter(|sum| *sum <= MAX_MILLIS).ok_or(DurationError::TooLong)?;
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
    fn refuses_what_prometheus_refuses() {
        for text in ["", "1", "10", "-1m", "1.5h", " 1m", "1m ", "m", "1m1h", "1m2m", "1ns", "1M", "1ä", "ä", "0x1m"]
        {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text:?}");
        }
        for text in ["293y", "99999999999999999999s", "18446744073709551615w", "292y9999w"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text}");
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

    proptest! {
        #[test]
        fn reads_back_what_it_renders(millis in 0..=MAX_MILLIS) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&render(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
