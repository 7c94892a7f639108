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
fn rejects(expression: &str, error: PatternError) {
    assert_eq!(Pattern::compile(expression).err(), Some(error), "{expression}");
}

#[test]
fn says_what_is_wrong_with_an_expression() {
    rejects("(a", PatternError::MissingParen);
    rejects("a))", PatternError::UnexpectedParen);
    rejects("[a", PatternError::MissingBracket);
    rejects("[b-a]", PatternError::InvalidCharRange);
    rejects(r"\p{Klingon}", PatternError::InvalidCharRange);
    rejects(r"\p{Grek}", PatternError::InvalidCharRange);
    rejects(r"\y", PatternError::InvalidEscape);
    rejects(r"a\1", PatternError::InvalidEscape);
    rejects(r"[a-\d]", PatternError::InvalidEscape);
    rejects("(?=a)", PatternError::InvalidPerlOp);
    rejects("(?x)a b", PatternError::InvalidPerlOp);
    rejects("(?P<>a)", PatternError::InvalidPerlOp);
    rejects("*a", PatternError::InvalidRepeatOp);
    rejects("a**", PatternError::InvalidRepeatOp);
    rejects("a|*", PatternError::InvalidRepeatOp);
    rejects("a{1001}", PatternError::InvalidRepeatSize);
    rejects("(a{501}){2}", PatternError::InvalidRepeatSize);
}

#[test]
fn nested_repetitions_may_come_to_a_thousand() {
    assert!(Pattern::compile("((a{10}){10}){10}").is_ok());
    assert!(Pattern::compile("(a{1000}|b{1000})*").is_ok());
    rejects("((a{10}){10}){11}", PatternError::InvalidRepeatSize);
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Pattern::compile(&nested(MAX_DEPTH - 2)).is_ok());
    rejects(&nested(MAX_DEPTH - 1), PatternError::TooLarge);
    rejects(&format!("{})", nested(MAX_DEPTH)), PatternError::UnexpectedParen);
    rejects(&nested(MAX_EXPRESSION_BYTES / 2 - 1), PatternError::TooLarge);
    rejects(r"\pL{1000}", PatternError::TooLarge);
    assert!(Pattern::compile(&"a".repeat(MAX_EXPRESSION_BYTES)).is_ok());
    rejects(&"a".repeat(MAX_EXPRESSION_BYTES + 1), PatternError::TooLarge);
}

/// Whether an expression of `count` such pieces is surely small enough; if so, it compiles.
#[track_caller]
fn fits(piece: &str, count: usize) -> bool {
    let expression = format!("({piece}){{{count}}}");
    let fits = Pattern::max_compiled_bytes(&expression).unwrap() <= MAX_COMPILED_BYTES;
    assert!(!fits || Pattern::compile(&expression).is_ok(), "{expression}");
    fits
}

/// Expressions of few characters: a character, a class, a group, a repetition.
const PIECES: &[&str] = &[
    "a",
    "ä",
    "€",
    "𐍈",
    "(?i:a)",
    "(?i:k)",
    "(?i:ä)",
    ".",
    "[^a]",
    "(?s:.)",
    "a|b",
    "a|ä|.",
    "a*",
    "(a)?",
    "a{3,}b",
    r"\b",
    r"\d",
    r"\D",
    r"\W",
    r"\pL",
    r"\PL",
    r"\p{Han}",
    r"(?i:\pL)",
    r"(?i:\p{Lu})",
    "[^ä]",
    r"(?i:[^k])",
    r"[\x{0}-\x{10FFFF}]",
    r"[\x80-\x{10FFFE}]",
    r"(?i:[\x{100}-\x{17F}])",
    r"[\pL\pN]",
    r"[^\pL\PN]",
    r"[[:^alpha:]]",
    r"\Qa.b\E",
    "(a|b|c){3}",
];

#[test]
fn what_is_surely_small_enough_compiles() {
    let classes = (2..30).map(|step| format!(r"[\x{{{step}00}}-\x{{{step}80}}\x{{1{step:02}00}}-\x{{1{step:02}FF}}]"));
    for piece in PIECES.iter().map(|piece| (*piece).to_owned()).chain(classes) {
        let most = (1..=1_000).rev().find(|count| {
            Pattern::max_compiled_bytes(&format!("({piece}){{{count}}}")).is_ok_and(|bytes| bytes <= MAX_COMPILED_BYTES)
        });
        assert!(fits(&piece, most.unwrap_or(1)), "{piece}");
    }
    for usual in [
        "go_.*",
        "(.*)",
        r"([^:]+)(?::\d+)?",
        r"(\d{1,3}\.){3}\d{1,3}",
        "prod|staging|dev",
        &format!("({})", ["a_metric_name"; 900].join("|")),
    ] {
        assert!(fits(usual, 1), "{usual}");
    }
}

#[test]
fn size_estimates_and_faults_agree_with_compiling() {
    for row in include_str!("../../testdata/go_regexp.jsonl").lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let expression = row["pattern"].as_str().unwrap();
        assert_eq!(Pattern::max_compiled_bytes(expression).err(), Pattern::compile(expression).err(), "{expression}");
    }
    assert!(Pattern::max_compiled_bytes(r"\pL{1000}").unwrap() > MAX_COMPILED_BYTES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_expression_or_an_error(expression in r"[\[\]\\(){}?*+^$|.:<>=PQEdDwWsSbBxpUim0-9,&~a-c_ä-]{0,24}") {
        // The translation never makes what the regex crate rejects for another reason than a bound.
        let (compiled, most_bytes) = (Pattern::compile(&expression).err(), Pattern::max_compiled_bytes(&expression));
        prop_assert!(compiled == Some(PatternError::TooLarge) || compiled == most_bytes.err());
        prop_assert!(compiled != Some(PatternError::TooLarge) || most_bytes.is_ok_and(|bytes| bytes > MAX_COMPILED_BYTES));
        if compiled == Some(PatternError::InvalidCharRange) {
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

#[test]
fn branches_are_what_a_search_may_follow_at_once() {
    let branches = |expression: &str| Pattern::compile(expression).unwrap().branches();
    assert_eq!((branches("(.*)"), branches("foo|bar|baz"), branches("(.*)x(.*)")), (0, 0, 2));
    assert_eq!(
        (branches("(.{1,500}).{1,500}y(.*)"), branches("(?:x?){1000}"), branches("(?:a|b*){3,}")),
        (1001, 2000, 9)
    );
    assert_eq!((branches("a.*|b.*|c"), branches("(?:x{0,5}){200}"), branches("x{0}")), (4, 1200, 1));
}
