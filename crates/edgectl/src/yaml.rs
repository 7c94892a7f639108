//! Writes a JSON value as block YAML. Ambiguous texts and keys are quoted, so that it reads back as the same value.

use limits::quote_yaml as quoted;
use serde_json::Value;

/// The value as lines, indented by two spaces for each level.
pub(crate) fn block(value: &Value, level: usize) -> String {
    let mut lines = String::new();
    push_block(value, level, &mut lines);
    lines
}

fn push_block(value: &Value, level: usize, lines: &mut String) {
    let indent = "  ".repeat(level);
    let parts: Vec<_> = match value {
        Value::Object(entries) => entries.iter().map(|(key, value)| (format!("{}:", key_text(key)), value)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() {
        lines.push_str(&format!("{indent}{}\n", inline(value)));
    }
    for (lead, value) in parts {
        if matches!(value, Value::Object(_) | Value::Array(_)) && !is_empty(value) {
            lines.push_str(&format!("{indent}{lead}\n"));
            push_block(value, level + 1, lines);
        } else {
            lines.push_str(&format!("{indent}{lead} {}\n", inline(value)));
        }
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
