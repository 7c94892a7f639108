//! Timestamps in the formats of yaml.v3 (`allowedTimestampFormats` in its `resolve.go`).

/// Whether it begins with four digits and a hyphen.
pub(crate) fn looks_like_one(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
}

/// The time in RFC 3339 as Go formats it, with the shortest fraction; `None` if it is no timestamp.
pub(crate) fn parse(text: &str) -> Option<String> {
    let mut rest = text;
    let year = number(&mut rest, 4, 4)?;
    let month =
        after(&mut rest, '-').and_then(|()| number(&mut rest, 1, 2)).filter(|month| (1..=12).contains(month))?;
    let day = after(&mut rest, '-').and_then(|()| number(&mut rest, 1, 2))?;
    if day == 0 || day > days(year, month) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let has_zone = rest.starts_with(['T', 't']);
    // Go's layout with a blank accepts several.
    rest = if has_zone { rest.get(1..)? } else { rest.strip_prefix(' ')?.trim_start_matches(' ') };
    let hour = number(&mut rest, 1, 2).filter(|hour| *hour < 24)?;
    let minute = after(&mut rest, ':').and_then(|()| number(&mut rest, 1, 2)).filter(|minute| *minute < 60)?;
    let second = after(&mut rest, ':').and_then(|()| number(&mut rest, 1, 2)).filter(|second| *second < 60)?;
    let fraction = fraction(&mut rest);
    let zone = match rest {
        "" if !has_zone => "Z".to_owned(),
        "Z" if has_zone => "Z".to_owned(),
        _ if has_zone => zone(rest)?,
        _ => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn after(rest: &mut &str, mark: char) -> Option<()> {
    *rest = rest.strip_prefix(mark)?;
    Some(())
}

/// A number of so many digits, as many as there are.
fn number(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at_checked(digits).filter(|_| digits >= least)?;
    *rest = after;
    number.parse().ok()
}

fn fraction(rest: &mut &str) -> String {
    let Some(digits) = rest.strip_prefix(['.', ',']) else { return String::new() };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return String::new();
    }
    let (digits, after) = digits.split_at(count);
    *rest = after;
    let nanoseconds = digits.get(..9).unwrap_or(digits).trim_end_matches('0');
    if nanoseconds.is_empty() { String::new() } else { format!(".{nanoseconds}") }
}

fn zone(text: &str) -> Option<String> {
    let [sign @ (b'+' | b'-'), a, b, b':', c, d] = text.as_bytes() else { return None };
    if ![a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (text.get(1..3)?.parse::<u32>().ok()?, text.get(4..6)?.parse::<u32>().ok()?);
    match (hours, minutes) {
        (0, 0) => Some("Z".to_owned()),
        (0..=24, 0..60) => Some(format!("{}{hours:02}:{minutes:02}", char::from(*sign))),
        _ => None,
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_times_as_go_does() {
        for (text, written) in [
            ("2025-07-04", Some("2025-07-04T00:00:00Z")),
            ("2025-7-4", Some("2025-07-04T00:00:00Z")),
            ("2024-02-29", Some("2024-02-29T00:00:00Z")),
            ("2025-02-29", None),
            ("2025-13-01", None),
            ("2025-07-04 1:2:3", Some("2025-07-04T01:02:03Z")),
            ("2025-07-04 01:02:03.50", Some("2025-07-04T01:02:03.5Z")),
            ("2025-07-04T01:02:03Z", Some("2025-07-04T01:02:03Z")),
            ("2025-07-04t01:02:03.000+02:00", Some("2025-07-04T01:02:03+02:00")),
            ("2025-07-04T01:02:03+00:00", Some("2025-07-04T01:02:03Z")),
            ("2025-07-04T01:02:03", None),
            ("2025-07-04 01:02:03Z", None),
            ("2025-07-04T24:00:00Z", None),
            ("2025-07-04x", None),
            ("2025-07-", None),
        ] {
            assert_eq!(parse(text).as_deref(), written, "{text}");
        }
        assert!(looks_like_one("2025-x") && !looks_like_one("025-07-04") && !looks_like_one("20250-07"));
    }
}
