//! Durations as Go and Prometheus write them: `30s`, `1m30s`, `1.5h`, `2d`.

use std::time::Duration;

/// Units with their length in nanoseconds.
const UNITS: [(&str, f64); 10] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
    ("y", 31_536_000e9),
];

/// Adds up one or more decimal numbers, each with a unit. `0` needs no unit. Fractions of a nanosecond are truncated, as in Go.
///
/// # Errors
/// A message for the user: no unit, an unknown unit, no number, or more than 292 years (Go's longest).
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() || text.is_empty() {
        let (part, after) = leading_part(rest).map_err(|fault| format!("{fault}, as in 30s or 1m30s"))?;
        nanos += part;
        rest = after;
    }
    if nanos < i64::MAX as f64 {
        Ok(Duration::from_nanos(nanos as u64))
    } else {
        Err("longer than 292 years".to_owned())
    }
}

/// The nanoseconds of the number and unit that `text` begins with, and what follows them.
fn leading_part(text: &str) -> Result<(f64, &str), String> {
    let is_of_number = |character: char| character.is_ascii_digit() || character == '.';
    let (number, rest) = text.split_at(text.find(|character| !is_of_number(character)).unwrap_or(text.len()));
    let (unit, rest) = rest.split_at(rest.find(is_of_number).unwrap_or(rest.len()));
    let number: f64 = number.parse().map_err(|_| "needs a number")?;
    match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, length)) => Ok((number * length, rest)),
        None if unit.is_empty() => Err("needs a unit".to_owned()),
        None => Err(format!("unknown unit {unit:?}: one of ns, us, ms, s, m, h, d, w, y is needed")),
    }
}

/// Writes whole seconds so that [`parse`] reads them: `1d`, `1h30m`. What is shorter than a second has milliseconds.
pub(crate) fn written(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{}ms", duration.subsec_millis());
    }
    let mut text = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            text += &format!("{}{unit}", seconds / length);
            seconds %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, written};

    #[test]
    fn writes_what_it_reads() {
        for text in ["1d", "1h30m", "90s", "2d3h4m5s", "250ms"] {
            let duration = parse(text).unwrap();
            let again = written(duration);
            assert_eq!(parse(&again), Ok(duration), "{again}");
        }
        assert_eq!(written(Duration::from_secs(90)), "1m30s");
    }

    #[track_caller]
    fn check(text: &str, millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }

    #[track_caller]
    fn reject(text: &str, part_of_message: &str) {
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
        reject("", "needs a number");
        reject("30", "needs a unit");
        reject("s", "needs a number");
        reject("-5s", "needs a number");
        reject("5 s", "unknown unit");
        reject("1m30", "needs a unit");
        reject("3fortnights", "unknown unit \"fortnights\"");
        reject("300y", "292 years");
        reject("99999999999999999999999999999999999999999999s", "292 years");
    }
}
