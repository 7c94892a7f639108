//! Durations as Go and Prometheus write them: `30s`, `1m30s`, `1.5h`, `2d`.

use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Units with their length in nanoseconds. `ms` stands before `m`, so that the longer spelling is found first.
const UNITS: [(&str, u128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("d", 86_400 * NANOS_PER_SECOND),
    ("w", 604_800 * NANOS_PER_SECOND),
    ("y", 31_536_000 * NANOS_PER_SECOND),
];

/// Reads one or more decimal numbers, each with a unit, and adds them up. `0` needs no unit.
///
/// # Errors
/// A message for the person who wrote it: no unit, an unknown unit, no number, or more than 292 years (Go's longest).
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() || text.is_empty() {
        let (nanos, after) = leading_part(rest).map_err(|fault| format!("{fault}, as in 30s or 1m30s"))?;
        total = total.saturating_add(nanos);
        rest = after;
    }
    match i64::try_from(total) {
        Ok(nanos) => Ok(Duration::from_nanos(nanos.unsigned_abs())),
        Err(_) => Err("longer than 292 years".to_owned()),
    }
}

/// The nanoseconds of the number and unit that `text` begins with, and what follows them.
fn leading_part(text: &str) -> Result<(u128, &str), String> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err("needs a number".to_owned());
    }
    let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len()));
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            "needs a unit".to_owned()
        } else {
            format!("unknown unit {unit:?}: one of ns, us, ms, s, m, h, d, w, y is needed")
        });
    };
    Ok((nanos(whole, *length).saturating_add(fraction_nanos(fraction, *length)), rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn nanos(digits: &str, length: u128) -> u128 {
    if digits.is_empty() { 0 } else { digits.parse::<u128>().map_or(u128::MAX, |number| number.saturating_mul(length)) }
}

/// Digits beyond a nanosecond are cut off, as Go does.
fn fraction_nanos(digits: &str, length: u128) -> u128 {
    let mut scale = length;
    let mut total = 0;
    for digit in digits.bytes() {
        // One more decimal place than the unit has nanoseconds is worth nothing.
        if scale == 0 {
            break;
        }
        total += scale * u128::from(digit - b'0') / 10;
        scale /= 10;
    }
    total
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[track_caller]
    fn check(text: &str, millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }

    #[track_caller]
    fn refuse(text: &str, part_of_message: &str) {
        let message = parse(text).expect_err(text);
        assert!(message.contains(part_of_message), "{text}: {message}");
    }

    #[test]
    fn reads_go_and_prometheus_durations() {
        check("30s", 30_000);
        check("1m30s", 90_000);
        check("1h2m3s4ms", 3_723_004);
        check("1.5s", 1_500);
        check(".5s", 500);
        check("2.m", 120_000);
        check("1d", 86_400_000);
        check("1w", 604_800_000);
        check("250ms", 250);
        check("15000us", 15);
        check("0", 0);
        check("0s", 0);
    }

    #[test]
    fn keeps_nanoseconds_and_cuts_what_is_finer() {
        assert_eq!(parse("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse("3µs"), Ok(Duration::from_nanos(3_000)));
        assert_eq!(parse("1.123456789987s"), Ok(Duration::new(1, 123_456_789)));
    }

    #[test]
    fn says_what_is_wrong() {
        refuse("", "needs a number");
        refuse("30", "needs a unit");
        refuse("s", "needs a number");
        refuse("-5s", "needs a number");
        refuse("5 s", "unknown unit");
        refuse("1m30", "needs a unit");
        refuse("3fortnights", "unknown unit \"fortnights\"");
        refuse("300y", "292 years");
        refuse("99999999999999999999999999999999999999999999s", "292 years");
    }
}
