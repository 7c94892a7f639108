//! Good documents with a few bytes that are not.

use crate::draw::Draw;

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
pub(crate) fn damage(document: &[u8], other: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..draw.of_values(&[1, 1, 1, 2, 3]) {
        change(&mut bytes, other, draw);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    let place = draw.count(0, bytes.len());
    let end = (place + draw.count(1, 6)).min(bytes.len());
    match draw.number(0, 11) {
        0 if place < bytes.len() => bytes[place] ^= 1 << draw.count(0, 7),
        1 if place < bytes.len() => bytes[place] = draw.byte(),
        2 => drop(bytes.drain(place..end)),
        3 => {
            let copied = bytes[place..end].to_vec();
            drop(bytes.splice(place..place, copied));
        }
        4 => bytes.truncate(place),
        5 => swap_lines(bytes, draw),
        6 => {
            let from = draw.count(0, other.len());
            let end = (from + draw.count(1, 80)).min(other.len());
            drop(bytes.splice(place..place, other[from..end].iter().copied()));
        }
        7 => indent_line(bytes, draw),
        _ => drop(bytes.splice(place..place, draw.one(&SNIPPETS).bytes())),
    }
}

fn swap_lines(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() > 1 {
        let last = lines.len() - 1;
        lines.swap(draw.count(0, last), draw.count(0, last));
        *bytes = lines.concat();
    }
}

fn indent_line(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let starts: Vec<_> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
    if starts.is_empty() {
        return;
    }
    let start = draw.of_values(&starts);
    if draw.percent(50) {
        drop(bytes.splice(start..start, std::iter::repeat_n(b' ', draw.count(1, 3))));
    } else if bytes.get(start) == Some(&b' ') {
        bytes.remove(start);
    }
}
