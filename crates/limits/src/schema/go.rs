//! Go's error texts: quoted strings, and yaml.v3's type errors.

use std::fmt::Write;

use go_yaml::{Content, Node, Position, resolve};

/// A string as Go's `%q` writes it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if is_printable(character) => quoted.push(character),
            _ => {
                let code = u32::from(character);
                let _ = match code {
                    0..=0x7f => write!(quoted, "\\x{code:02x}"),
                    0x80..=0xffff => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Go and Rust agree on the printable characters. A letter in front keeps Rust from escaping a combining character.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let mut pair = [0; 5];
    let (letter, accent) = pair.split_at_mut(1);
    letter.fill(b'a');
    let length = 1 + character.encode_utf8(accent).len();
    let pair = pair.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    pair.escape_debug().nth(1) != Some('\\')
}

/// The line in Mimir's errors.
pub(super) fn line(position: Position) -> u64 {
    if position.encoded_line == 0 { position.line } else { position.encoded_line }
}

/// yaml.v3's error for a node that a type cannot hold (its `terror`); long values are truncated.
pub(super) fn type_error(node: &Node, go: &str) -> String {
    let value = match &node.content {
        Content::Scalar(scalar) if scalar.text.len() > 10 => {
            // By bytes, as in Go.
            let start = scalar.text.as_bytes().get(..7).unwrap_or_default();
            format!(" `{}...`", String::from_utf8_lossy(start))
        }
        Content::Scalar(scalar) => format!(" `{}`", scalar.text),
        _ => String::new(),
    };
    format!("line {}: cannot unmarshal {}{value} into {go}", line(node.position), tag(node))
}

/// The short tag that yaml.v3 gives a node.
fn tag(node: &Node) -> &'static str {
    match &node.content {
        Content::Sequence(_) => "!!seq",
        Content::Mapping(_) => "!!map",
        Content::Scalar(scalar) => resolve(scalar).tag(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a\"\\b", r#""a\"\\b""#),
            ("\t\n\r\u{7}\u{1}\u{7f}", r#""\t\n\r\a\x01\x7f""#),
            ("ä\u{301}日😀", "\"ä\u{301}日😀\""),
            ("\u{85}\u{200b}\u{a0}\u{2028}\u{e000}\u{10ffff}", r#""\u0085\u200b\u00a0\u2028\ue000\U0010ffff""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
