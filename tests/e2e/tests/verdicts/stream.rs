//! What can surround a document: directives, further documents, line breaks, encodings, compression.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::random::Random;

const HEADS: [&str; 18] = [
    "---\n",
    "--- # head\n",
    "%YAML 1.1\n---\n",
    "# comment\n",
    "\n\n",
    "%TAG ! tag:example.com,2000:\n---\n",
    "%TAG !e! tag:e,2000:\n---\n",
    "---\n---\n",
    "%YAML 1.2\n---\n",
    "%YAML 1.1\n%YAML 1.1\n---\n",
    "%FOO bar\n---\n",
    "%YAML 1.1\n",
    "%YAML 1.10\n---\n",
    "...\n",
    "...\n---\n",
    "--- ~\n---\n",
    "\t\n",
    "# \u{e9}\n%YAML 1.1 # c\n---\n",
];
const TAILS: [&str; 22] = [
    "...\n",
    "---\n",
    "---\noverrides: 5\n",
    "--- [unclosed\n",
    "---\n[",
    "---\n@x\n",
    "---\n\t",
    "---\n`x",
    "...\n# end",
    "---\n%YAML 1.2\n",
    "...\n%YAML 1.2\n---\nx\n",
    "...\ntext\n",
    "...\n...\n",
    "]\n",
    "}\n",
    "\u{0}",
    "\t\n",
    "--- \"\u{1}\"\n",
    "---\n*unknown\n",
    "# \u{7f}",
    "---x\n",
    "..\n",
];

/// Lines that no document may have, and some that it may.
const BAD: [&[u8]; 17] = [
    b"# \xff\n",
    b"# \xc3\n",
    b"# \xc0\x80\n",
    b"# \xed\xa0\x80\n",
    b"# \xf4\x90\x80\x80\n",
    b"# \xef\xbf\xbe\n",
    b"# \xef\xbf\xbf\n",
    b"# \x01\n",
    b"# \xc2\x81\n",
    b"# \xc2\x85\n",
    b"# \x7f\n",
    b"# \xe2\x80\xa8x: 1\n",
    b"# \xef\xbb\xbf\n",
    b"# \xf0\x9f\x98\x80\n",
    b"# \x0b\n",
    b"\x0c\n",
    b"# \xee\x80\x80\n",
];

/// Puts something before or behind a document.
pub(crate) fn frame(text: &str, random: &mut Random) -> String {
    let head = if random.percent(70) { random.one(&HEADS) } else { "" };
    let tail = if random.percent(50) { random.one(&TAILS) } else { "" };
    format!("{head}{text}{tail}")
}

/// Other line breaks, or characters in a comment that are rejected wherever they are.
pub(crate) fn breaks(text: &str, random: &mut Random) -> String {
    let other = random.one(&["\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}", "\n\r", "\r\n\n"]);
    if random.percent(60) {
        return text.replace('\n', other);
    }
    let lines: Vec<_> = text.lines().collect();
    lines.into_iter().map(|line| format!("{line}{}", if random.percent(50) { other } else { "\n" })).collect()
}

/// The text in another encoding, or with bytes that are none.
pub(crate) fn encode(text: &str, random: &mut Random) -> Vec<u8> {
    let utf16 = |big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let with = |head: &[u8], body: &[u8]| [head, body].concat();
    match random.number(0, 11) {
        0 => with(b"\xef\xbb\xbf", text.as_bytes()),
        1 | 2 => with(b"\xff\xfe", &utf16(false)),
        3 => with(b"\xfe\xff", &utf16(true)),
        4 => utf16(random.percent(50)),
        5 => {
            let mut bytes = with(b"\xff\xfe", &utf16(false));
            bytes.pop();
            bytes
        }
        6 => with(b"\xff\xfe", &[&utf16(false)[..], b"\x3d\xd8\x41\x00"].concat()),
        7 => with(b"\xff\xfe", &[&utf16(false)[..], b"#\0\x3d\xd8\x00\xde\x0a\0"].concat()),
        // Not two of them at the start: Mimir then drops the first character of some lines.
        8 => with(b"#\n\xef\xbb\xbf", text.as_bytes()),
        9 => with(b"\xff\xfe\0\0", &text.chars().flat_map(|unit| u32::from(unit).to_le_bytes()).collect::<Vec<_>>()),
        _ => {
            let bad = random.one(&BAD);
            if random.percent(50) { with(bad, text.as_bytes()) } else { with(text.as_bytes(), bad) }
        }
    }
}

/// The bytes as a `.gz`, mostly a good one.
pub(crate) fn compress(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let level = random.one(&["-1", "-6", "-9"]);
    let mut packed = gzip(bytes, level);
    match random.number(0, 15) {
        0 => bytes.to_vec(),
        1 => {
            let kept = random.count(0, packed.len() - 1);
            packed.truncate(kept);
            packed
        }
        2 => {
            let place = random.count(0, packed.len() - 1);
            packed[place] ^= 1 << random.count(0, 7);
            packed
        }
        3 => [packed, vec![0; random.count(1, 20)]].concat(),
        4 => {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            [gzip(first, level), gzip(second, level)].concat()
        }
        5 => [packed, b"x".to_vec()].concat(),
        6 => gzip(
            random.one(&[b"" as &[u8], b"# only\n", b"null", b"---\n", b" ", b"--- # c", b"...", b"%YAML 1.1\n---\n"]),
            level,
        ),
        _ => packed,
    }
}

/// What the program gzip makes of it.
pub(crate) fn gzip(bytes: &[u8], level: &str) -> Vec<u8> {
    let mut command = Command::new("gzip");
    let mut child = command
        .args(["-n", "-c", level])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a gzip");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        child.wait_with_output().expect("gzip ends").stdout
    })
}
