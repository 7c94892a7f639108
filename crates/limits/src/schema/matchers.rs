//! The matchers of an active series tracker: Alertmanager's classic syntax (its `pkg/labels/parse.go`), `{a="b", c=~"d|e"}`.

use super::scalar::check_regexp;
use super::{Issue, MimirError};
use crate::code::Code;
use crate::value::{quote, shortened};

/// What Go's `\s` matches.
const SPACES: [char; 5] = ['\t', '\n', '\u{c}', '\r', ' '];

/// Checks the matchers of the tracker `name`.
pub(super) fn check(name: &str, text: &str) -> Result<(), Issue> {
    let ends = |Issue { code, predicate, mimir }: Issue| {
        let mimir = mimir.map(|error| match error {
            MimirError::Fatal(go) => MimirError::Fatal(format!("can't build active series matcher {name}: {go}")),
            other => other,
        });
        Issue { code, predicate, mimir }
    };
    tokens(text).iter().try_for_each(|token| check_one(token)).map_err(ends)
}

/// The parts between unquoted commas, without an empty last one.
fn tokens(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut tokens, mut start, mut in_quotes, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            ',' if in_quotes => {}
            ',' => {
                tokens.extend(text.get(start..at));
                start = at + 1;
            }
            '"' => {
                in_quotes ^= !escaped;
                escaped = false;
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = text.get(start..).unwrap_or_default().trim();
    tokens.extend((!last.is_empty()).then_some(last));
    tokens
}

fn check_one(token: &str) -> Result<(), Issue> {
    let Some((operator, written)) = split(token) else {
        return Err(issue(
            format!("has the matcher {}: write one such as namespace=~\"dev-.*\"", quote(&shortened(token))),
            format!("bad matcher format: {token}"),
        ));
    };
    let Some(value) = unescape(written) else {
        return Err(issue(
            format!("has a \" in the middle of {}: write \\\" for the character", quote(&shortened(written))),
            format!("matcher value contains unescaped double quote: {written}"),
        ));
    };
    if matches!(operator, "=~" | "!~") { check_expression(&value) } else { Ok(()) }
}

fn issue(predicate: String, go: String) -> Issue {
    Issue { code: Code::BadExpression, predicate, mimir: Some(MimirError::Fatal(go)) }
}

/// Alertmanager compiles the expression in a group. Mimir then compiles it alone, and panics on an error.
fn check_expression(value: &str) -> Result<(), Issue> {
    let has = |issue: Issue| Issue { predicate: format!("has the expression that {}", issue.predicate), ..issue };
    check_regexp(&format!("^(?:{value})$"), value).map_err(has)?;
    check_regexp(value, value).map_err(has).map_err(|issue| Issue {
        predicate: format!("{}; Mimir does not reject it but ends with a panic", issue.predicate),
        mimir: None,
        ..issue
    })
}

/// The operator and the value as written, if the token has a name and an operator.
fn split(token: &str) -> Option<(&str, &str)> {
    let token = token.trim_matches(SPACES);
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':');
    let after = token.trim_start_matches(is_of_name);
    if after.len() == token.len() || token.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let after = after.trim_start_matches(SPACES);
    let operator = ["=~", "=", "!=", "!~"].into_iter().find(|operator| after.starts_with(operator))?;
    let value = after.get(operator.len()..)?;
    Some((operator, value.trim_matches(SPACES)))
}

/// The unquoted value; `None` if a quote is elsewhere than around it.
fn unescape(written: &str) -> Option<String> {
    let (text, mut expects_quote) = match written.strip_prefix('"') {
        Some(text) => (text, true),
        None => (written, false),
    };
    let last = text.len().saturating_sub(1);
    let (mut value, mut escaped) = (String::with_capacity(text.len()), false);
    for (at, character) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            match character {
                'n' => value.push('\n'),
                '"' | '\\' => value.push(character),
                _ => value.extend(['\\', character]),
            }
            continue;
        }
        match character {
            '\\' if at < last => escaped = true,
            '"' if !expects_quote || at < last => return None,
            '"' => expects_quote = false,
            _ => value.push(character),
        }
    }
    (!expects_quote).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_classic_matchers() {
        for text in [
            "",
            "{}",
            "namespace=dev",
            r#"{namespace=~"dev|qa", app!="x",}"#,
            "a = b, c != d",
            "a=",
            r#"a="x,y""#,
            r#"a="say \"hi\"""#,
            r"a=b\",
            "a=~b.*, c!~d",
            " a:b_1 = \"\n\" ",
            "a==b",
            "a=b}",
        ] {
            assert!(check("t", text).is_ok(), "{text}");
        }
    }

    #[track_caller]
    fn rejects(text: &str, go: &str) {
        let mimir = check("t", text).expect_err(text).mimir;
        let expected = MimirError::Fatal(format!("can't build active series matcher t: {go}"));
        assert_eq!(mimir, Some(expected), "{text}");
    }

    #[test]
    fn rejects_what_alertmanager_rejects() {
        rejects("a", "bad matcher format: a");
        rejects("5", "bad matcher format: 5");
        rejects("1a=b", "bad matcher format: 1a=b");
        rejects(",a=b", "bad matcher format: ");
        rejects("a=b,,c=d", "bad matcher format: ");
        rejects("a=b, c ", "bad matcher format: c");
        rejects("ä=b", "bad matcher format: ä=b");
        rejects(r#"a="b"#, r#"matcher value contains unescaped double quote: "b"#);
        rejects(r#"a=b"c"#, r#"matcher value contains unescaped double quote: b"c"#);
        rejects(r#"a="b"c""#, r#"matcher value contains unescaped double quote: "b"c""#);
        rejects(r#"a="b\""#, r#"matcher value contains unescaped double quote: "b\""#);
        rejects("a=~(", "error parsing regexp: missing closing ): `^(?:()$`");
    }

    #[test]
    fn rejects_what_makes_mimir_panic() {
        let issue = check("t", r#"a=~")|(""#).expect_err("an expression that is none alone");
        assert_eq!(issue.mimir, None);
        assert!(issue.predicate.contains("panic"), "{}", issue.predicate);
        assert!(check("t", r#"a=")|(""#).is_ok());
    }
}
