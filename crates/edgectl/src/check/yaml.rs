//! Writes a JSON value as block YAML, for people to read. Text and keys that could be taken for something else are in quotes, so what reads it back
//! gets the same value.

use serde_json::Value;

/// The value as lines, each behind two spaces for every level.
pub(super) fn block(value: &Value, level: usize) -> String {
    let mut lines = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => collection(value, level, &mut lines),
        scalar => {
            indent(level, &mut lines);
            lines.push_str(&inline(scalar));
            lines.push('\n');
        }
    }
    lines
}

fn collection(value: &Value, level: usize, lines: &mut String) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                indent(level, lines);
                lines.push_str(&key_text(key));
                lines.push(':');
                nested(value, level, lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(level, lines);
                lines.push('-');
                nested(item, level, lines);
            }
        }
        _ => {}
    }
}

/// What stands behind a key's colon or an item's dash.
fn nested(value: &Value, level: usize, lines: &mut String) {
    if matches!(value, Value::Object(_) | Value::Array(_)) && !is_empty(value) {
        lines.push('\n');
        collection(value, level + 1, lines);
    } else {
        lines.push(' ');
        lines.push_str(&inline(value));
        lines.push('\n');
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        // `{}`, `[]`, null, numbers and booleans are the same in YAML.
        other => other.to_string(),
    }
}

fn key_text(key: &str) -> String {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = !key.is_empty() && key.bytes().all(word) && !reserved.contains(&key);
    if plain { key.to_owned() } else { quoted(key) }
}

/// A JSON string is YAML, but for characters that JSON leaves as they are and YAML takes for line ends or for none.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut quoted = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        {
            quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            quoted.push(character);
        }
    }
    quoted
}

fn indent(level: usize, lines: &mut String) {
    for _ in 0..level {
        lines.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_block_yaml() {
        let value = json!({
            "problems": 0,
            "files": [{"file": "a.yaml", "limits": {"team-a": {"ingestion_rate": 0.5, "drop_labels": ["x"]}, "n": {}}, "problems": []}],
            "none": null,
        });
        let expected = "\
files:
  -
    file: \"a.yaml\"
    limits:
      \"n\": {}
      \"team-a\":
        drop_labels:
          - \"x\"
        ingestion_rate: 0.5
    problems: []
none: null
problems: 0
";
        assert_eq!(block(&value, 0), expected);
        assert_eq!(block(&json!({"a": 1}), 1), "  a: 1\n");
    }

    #[test]
    fn text_stays_on_its_line() {
        assert_eq!(quoted("a\nb\u{85}c\u{2028}\"\\"), "\"a\\nb\\u0085c\\u2028\\\"\\\\\"");
        assert_eq!(quoted("+Inf"), "\"+Inf\"");
    }
}
