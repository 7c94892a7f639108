//! The words against those that Go 1.26 has for expressions put together from faulty pieces (`go_errors.jsonl`).

use crate::Pattern;

#[derive(Debug)]
struct Recorded {
    pattern: String,
    error: String,
}

fn recorded() -> impl Iterator<Item = Recorded> {
    include_str!("../../../testdata/go_errors.jsonl").lines().map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        Recorded { pattern: text("pattern"), error: text("error") }
    })
}

#[test]
fn says_what_go_says() {
    let said = |pattern: &str| Pattern::check(pattern).err().map(|error| error.go).unwrap_or_default();
    let differing: Vec<_> = recorded()
        .map(|Recorded { pattern, error }| (said(&pattern), error, pattern))
        .filter(|(said, error, _)| said != error)
        .collect();
    assert!(differing.is_empty(), "{} differ: {:#?}", differing.len(), differing.get(..20).unwrap_or(&differing));
}
