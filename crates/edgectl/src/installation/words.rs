//! How results are worded.

use crate::output::on_one_line;

/// Lines of a detail that lists things.
const LISTED: usize = 5;

/// A time in one unit.
pub(super) fn time(seconds: f64) -> String {
    let (divisor, unit) = match seconds {
        seconds if seconds < 120.0 => (1.0, "s"),
        seconds if seconds < 7_200.0 => (60.0, "min"),
        seconds if seconds < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "days"),
    };
    format!("{:.0} {unit}", (seconds / divisor).floor())
}

/// The first of some lines, and how many there are more.
pub(super) fn list(lines: &[String]) -> String {
    let mut shown: Vec<_> = lines.iter().take(LISTED).map(|line| on_one_line(line)).collect();
    if lines.len() > LISTED {
        shown.push(format!("and {} more", lines.len() - LISTED));
    }
    shown.join("\n")
}

/// `1 replica: NAME`, or `3 replicas`.
pub(super) fn named(names: &[&str]) -> String {
    match names {
        [name] => (*name).to_owned(),
        several => format!("{} replicas", several.len()),
    }
}

/// A number of bytes in the largest unit that it is a multiple of.
pub(super) fn bytes(count: f64) -> String {
    [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB")]
        .into_iter()
        .find(|(unit, _)| count >= *unit && count % unit == 0.0)
        .map_or_else(|| format!("{count:.0} bytes"), |(unit, name)| format!("{:.0} {name}", count / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_one_unit() {
        for (seconds, expected) in
            [(0.4, "0 s"), (119.0, "119 s"), (125.0, "2 min"), (7_200.0, "2 h"), (1e6, "11 days")]
        {
            assert_eq!(time(seconds), expected);
        }
        for (count, expected) in [(16_777_216.0, "16 MiB"), (1_000.0, "1000 bytes"), (2_048.0, "2 KiB")] {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let lines: Vec<_> = (0..7).map(|number| number.to_string()).collect();
        assert_eq!(list(&lines), "0\n1\n2\n3\n4\nand 2 more");
        assert_eq!(list(&lines[..1]), "0");
    }
}
