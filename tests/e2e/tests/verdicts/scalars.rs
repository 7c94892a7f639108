//! Scalars by grammar: numbers, durations, dates and regexps right or wrong.

use crate::random::Random;

const DIGITS: [&str; 14] = [
    "0",
    "1",
    "7",
    "8",
    "10",
    "0123",
    "089",
    "00",
    "1_000",
    "_1",
    "1_",
    "9223372036854775807",
    "65535",
    "123456789012",
];
const FRACTIONS: [&str; 8] = ["", ".", ".0", ".5", ".50", ".10", "._5", ".123456789"];
const EXPONENTS: [&str; 12] = ["e3", "E3", "e+3", "e-3", "e0", "e19", "e308", "e400", "e", "e_3", "e03", "e-400"];
const UNITS: [&str; 12] = ["y", "w", "d", "h", "m", "s", "ms", "us", "ns", "M", "", "µs"];
const DATES: [&str; 14] = [
    "2025-07-04",
    "2025-7-4",
    "2025-13-01",
    "2025-02-30",
    "2025-07-04 10:20:30",
    "2025-07-04T10:20:30Z",
    "2025-07-04t10:20:30+02:00",
    "2025-07-04 10:20:30.5",
    "2025-07-04T10:20:30",
    "2025-07-04 1:2:3",
    "10000-01-01",
    "0001-01-01",
    "2025-07-04 10:20:30 Z",
    "12:30:45",
];
const WORDS: [&str; 24] = [
    "true", "True", "tRUE", "yes", "Yes", "on", "OFF", "n", "Y", "null", "Null", "NULL", "nuLL", "~", ".inf", "+.Inf",
    "-.INF", ".nan", ".NaN", "inf", "nan", "-", ".", "+",
];
/// Regexps that Go compiles, and some that it does not; none that compiles only inside a group.
pub(crate) const REGEXPS: [&str; 34] = [
    "(.*)",
    "a+",
    "^foo$",
    "[a-z]+",
    "a|b",
    "(?i)abc",
    r"\d+\s",
    r"\pL",
    r"\p{Greek}",
    "x{2,5}",
    "(?P<n>a)",
    r"\Qa.b\E",
    "[[:alpha:]]",
    r"\x41",
    "a{1000}",
    "(a{30}){30}",
    "]",
    "{",
    "a{,2}",
    r"\z",
    "(?s).",
    "[^a]",
    "a**",
    "(?=a)",
    "(?x)a",
    r"\u0041",
    "a{1001}",
    "(a{100}){100}",
    "(",
    "[a",
    r"\8",
    "(?<n>a)",
    r"\C",
    "x{5,2}",
];

/// Texts that are plain or quoted, and some that YAML reads as something else.
const TEXTS: &[&str] = &[
    "abc",
    "a b",
    "a: b",
    "a #b",
    "'it''s'",
    "\"a\\tb\"",
    "\"\\u00e9\\x41\\U0001F600\"",
    "\"\\/\\e\\0\\_\\N\\L\\P\"",
    "\"\\q\"",
    "\"\\'\"",
    "\"\\/\"",
    "\"\\ud800\"",
    "é",
    "日本",
    "\"\\ta\\nb\"",
    "''",
    "\"\"",
    "' '",
    "\" x \"",
    "a'b",
    "a\"b",
    "-x",
    ":x",
    "?x",
    "&x",
    "*x",
    "!x",
    "%x",
    "@x",
    "`x",
    "a,b",
    "[x",
    "{x",
    "]x",
    "|x",
    ">x",
    "#x",
    "a:b",
    "a:",
    "\"a\\\n  b\"",
    "'a\n  b'",
    "a\n  b",
    "\"<<\"",
    "<<",
    "=",
    "\u{85}",
    "a\u{2028}b",
    "\u{a0}",
    "\u{feff}x",
    "\"\\x7f\"",
    "\"\\b\"",
    "--- x",
    "...",
    "10.0.0.0/8,::1/128",
    "10.0.0.1",
    "a,,b",
    " ",
    "${HOME}",
    "{{ x }}",
];

pub(crate) fn number(random: &mut Random) -> String {
    let sign = random.one(&["", "", "", "-", "+"]);
    match random.number(0, 9) {
        0 => format!(
            "{sign}0x{}",
            random.one(&["10", "1F", "ff", "FFFFFFFFFFFFFFFF", "7fffffffffffffff", "g", "", "1_0", "8000000000000000"])
        ),
        1 => format!("{sign}0{}{}", random.one(&["o", "O"]), random.one(&["17", "8", "777", "", "1_7"])),
        2 => format!("{sign}0{}{}", random.one(&["b", "B"]), random.one(&["101", "2", "", "1_1"])),
        3 => format!("{sign}0X{}", random.one(&["10", "aF"])),
        4 => {
            format!(
                "{sign}{}",
                random.one(&[".5", ".5e1", "._5", "..5", "1.2.3", ".e1", "1e5.5", "0x1p4", "1i", "1.e3"])
            )
        }
        5 | 6 => {
            let (digits, fraction) = (random.one(&DIGITS), random.one(&FRACTIONS));
            format!("{sign}{digits}{fraction}{}", random.one(&EXPONENTS))
        }
        7 => format!("{sign}{}", random.number(0, i64::MAX)),
        8 => format!("{sign}{}{}", random.number(0, i64::MAX), random.number(0, 99)),
        _ => format!("{sign}{}{}", random.one(&DIGITS), random.one(&FRACTIONS)),
    }
}

pub(crate) fn duration(random: &mut Random) -> String {
    let pairs = random.count(1, 4);
    let mut text = random.one(&["", "", "", "", "", "-", "+", "0"]).to_owned();
    let mut last = 0;
    for _ in 0..pairs {
        // Mostly from the largest unit to the smallest.
        last = if random.percent(80) { random.count(last, 6) } else { random.count(0, UNITS.len() - 1) };
        let number = match random.number(0, 9) {
            0 => random.one(&["1.5", "1_0", "", "0x1", "99999999999", "9223372036854775807", "007"]).to_owned(),
            _ => random.number(0, 400).to_string(),
        };
        text += &format!("{number}{}", UNITS[last]);
        last = (last + 1).min(6);
    }
    text
}

/// A scalar of any sort.
pub(crate) fn any(random: &mut Random) -> String {
    let text = match random.number(0, 9) {
        0..=3 => number(random),
        4 | 5 => duration(random),
        6 => random.one(&DATES).to_owned(),
        7 => random.one(&WORDS).to_owned(),
        _ => string(random),
    };
    match random.number(0, 19) {
        0 => format!("{text:?}"),
        1 => format!("'{text}'"),
        2 => format!("!!int {text}"),
        3 => format!("!!float {text}"),
        4 => format!("!!str {text}"),
        5 => format!(
            "{} {text}",
            random.one(&[
                "!!bool",
                "!!null",
                "!!timestamp",
                "!!binary",
                "!x",
                "!",
                "!!map",
                "!!seq",
                "!<tag:yaml.org,2002:int>"
            ])
        ),
        6 => format!("!!int {text:?}"),
        7 => format!("!!float '{text}'"),
        _ => text,
    }
}

/// Text in one of its spellings.
pub(crate) fn string(random: &mut Random) -> String {
    random.one(TEXTS).to_owned()
}
