//! `testdata/go_regexp.jsonl`: random expressions compiled and run by the Go package that Mimir's Prometheus uses
//! (`github.com/grafana/regexp`), anchored as Prometheus anchors them. Values and results are Latin-1, a character a byte.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn latin_1(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|character| u8::try_from(character).unwrap()).collect()
}

#[track_caller]
fn check(row: &Value) {
    let text = |name: &str| row[name].as_str().unwrap();
    let pattern = match Pattern::compile(text("pattern")) {
        Ok(pattern) => pattern,
        Err(error) => return assert_eq!(text("outcome"), "refused", "{error}: {row}"),
    };
    let template = Template::compile(text("template"), &pattern);
    let value = latin_1(&row["value"]);
    let expand = |groups: &Groups<'_>| {
        let mut result = Vec::new();
        template.expand(groups, &mut result);
        result
    };
    let expanded = pattern.first_match(&value, template.needs_groups(), expand);
    let outcome = if expanded.is_some() { "match" } else { "no match" };
    assert_eq!(text("outcome"), outcome, "{row}");
    assert_eq!(pattern.is_match(&value), expanded.is_some(), "{row}");
    if let Some(expanded) = expanded {
        let mut replaced = Vec::new();
        pattern.replace_all(&value, &template, &mut replaced);
        assert_eq!((expanded, replaced), (latin_1(&row["expanded"]), latin_1(&row["replaced"])), "{row}");
    }
}

#[test]
fn expressions_do_what_gos_do() {
    let rows = include_str!("../../testdata/go_regexp.jsonl").lines();
    let seen = rows.map(|row| check(&serde_json::from_str(row).unwrap())).count();
    assert!(seen >= 600, "only {seen} expressions were recorded");
}

#[track_caller]
fn refuses(expression: &str, error: PatternError) {
    assert_eq!(Pattern::compile(expression).err(), Some(error), "{expression}");
}

#[test]
fn says_what_is_wrong_with_an_expression() {
    refuses("(a", PatternError::MissingParenthesis);
    refuses("a))", PatternError::UnexpectedParenthesis);
    refuses("[a", PatternError::MissingBracket);
    refuses("[b-a]", PatternError::CharacterRange);
    refuses(r"\p{Klingon}", PatternError::CharacterRange);
    refuses(r"\p{Grek}", PatternError::CharacterRange);
    refuses(r"\y", PatternError::Escape);
    refuses(r"a\1", PatternError::Escape);
    refuses(r"[a-\d]", PatternError::Escape);
    refuses("(?=a)", PatternError::Group);
    refuses("(?x)a b", PatternError::Group);
    refuses("(?P<>a)", PatternError::Group);
    refuses("*a", PatternError::Repetition);
    refuses("a**", PatternError::Repetition);
    refuses("a|*", PatternError::Repetition);
    refuses("a{1001}", PatternError::RepetitionSize);
    refuses("(a{501}){2}", PatternError::RepetitionSize);
}

#[test]
fn nested_repetitions_may_come_to_a_thousand() {
    assert!(Pattern::compile("((a{10}){10}){10}").is_ok());
    assert!(Pattern::compile("(a{1000}|b{1000})*").is_ok());
    refuses("((a{10}){10}){11}", PatternError::RepetitionSize);
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Pattern::compile(&nested(MAX_DEPTH - 2)).is_ok());
    refuses(&nested(MAX_DEPTH - 1), PatternError::TooLarge);
    refuses(&format!("{})", nested(MAX_DEPTH)), PatternError::UnexpectedParenthesis);
    refuses(&nested(MAX_EXPRESSION_BYTES / 2 - 1), PatternError::TooLarge);
    refuses(r"\pL{1000}", PatternError::TooLarge);
    assert!(Pattern::compile(&"a".repeat(MAX_EXPRESSION_BYTES)).is_ok());
    refuses(&"a".repeat(MAX_EXPRESSION_BYTES + 1), PatternError::TooLarge);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_expression_or_an_error(expression in r"[\[\]\\(){}?*+^$|.:<>=PQEdDwWsSbBxpUim0-9,&~a-c_ä-]{0,24}") {
        // The translation never makes what the regex crate refuses for another reason than a bound.
        if Pattern::compile(&expression).err() == Some(PatternError::CharacterRange) {
            prop_assert!(["[", r"\p", r"\P"].iter().any(|class| expression.contains(class)));
        }
    }

    #[test]
    fn any_template_expands(text in r"[${}0-3a-c_ä]{0,12}", value in prop::collection::vec(any::<u8>(), 0..12)) {
        for expression in ["(.*)", "(?P<a>.)?(.*)", "a)|(b"] {
            let pattern = Pattern::compile(expression).unwrap();
            let template = Template::compile(&text, &pattern);
            let mut result = Vec::new();
            pattern.first_match(&value, true, |groups| template.expand(groups, &mut result));
            pattern.replace_all(&value, &template, &mut result);
        }
    }
}
