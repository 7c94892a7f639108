//! Good documents with a few wrong bytes.

use crate::random::Random;

const SNIPPETS: [&str; 46] = [
    "? ",
    "- ",
    ": ",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "|",
    ">",
    "|-\n",
    ">2\n",
    "&a ",
    "*a",
    "&a",
    "!",
    "!!str ",
    "!!int ",
    "!!map ",
    "%",
    "@",
    "`",
    "\"",
    "'",
    "#",
    " #",
    "\t",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r",
    "~",
    "<<: ",
    "---\n",
    "...\n",
    "0",
    "_",
    "e",
    ".",
    "\\",
    "\u{feff}",
    "null",
    "\\x",
    "? a\n: b\n",
];

/// One to three small changes.
pub(crate) fn damage(document: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..random.of_values(&[1, 1, 1, 2, 3]) {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let place = random.count(0, bytes.len());
    let end = (place + random.count(1, 6)).min(bytes.len());
    match random.number(0, 11) {
        0 if place < bytes.len() => bytes[place] ^= 1 << random.count(0, 7),
        1 if place < bytes.len() => bytes[place] = random.byte(),
        2 => drop(bytes.drain(place..end)),
        3 => {
            let copied = bytes[place..end].to_vec();
            drop(bytes.splice(place..place, copied));
        }
        4 => bytes.truncate(place),
        5 => swap_lines(bytes, random),
        6 => {
            let from = random.count(0, other.len());
            let end = (from + random.count(1, 80)).min(other.len());
            drop(bytes.splice(place..place, other[from..end].iter().copied()));
        }
        7 => indent_line(bytes, random),
        _ => drop(bytes.splice(place..place, random.one(&SNIPPETS).bytes())),
    }
}

fn swap_lines(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() > 1 {
        let last = lines.len() - 1;
        lines.swap(random.count(0, last), random.count(0, last));
        *bytes = lines.concat();
    }
}

fn indent_line(bytes: &mut Vec<u8>, random: &mut Random) {
    let starts: Vec<_> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
    if starts.is_empty() {
        return;
    }
    let start = random.of_values(&starts);
    if random.percent(50) {
        drop(bytes.splice(start..start, std::iter::repeat_n(b' ', random.count(1, 3))));
    } else if bytes.get(start) == Some(&b' ') {
        bytes.remove(start);
    }
}
