//! Mimir's `-querier.query-store-after`: no limit itself, but one of Mimir's rules compares the limit `query_ingesters_within` with it.

use std::time::Duration;

use go_yaml::{Content, Document, Node};
use limits::{Code, MAX_DOCUMENT_BYTES, Problem, Severity};

/// Mimir's flag, without dashes.
pub(super) const FLAG: &str = "querier.query-store-after";
/// For the error about an invalid duration.
pub(super) const WANTED: &str = "a duration such as 12h or 1h30m";

/// `querier.query_store_after` of a whole Mimir configuration. `None` if the document cannot be read, which is reported when its limits are read.
///
/// # Errors
/// It is no duration.
pub(super) fn of_document(name: &str, bytes: &[u8]) -> Result<Option<Duration>, Vec<Problem>> {
    let tree = Document::parse(name, bytes, MAX_DOCUMENT_BYTES).and_then(|document| document.tree());
    let Some(root) = tree.ok().and_then(|tree| tree.root) else { return Ok(None) };
    let field = below(&root, "querier").and_then(|querier| below(querier, "query_store_after"));
    let Some(Node { position, content: Content::Scalar(scalar) }) = field else { return Ok(None) };
    if scalar.plain && matches!(&*scalar.text, "" | "~" | "null") {
        return Ok(None);
    }
    let bad = || Problem {
        line: (position.line > 0).then_some(position.line),
        field: Some("querier.query_store_after".to_owned()),
        ..Problem::of_document(
            Code::BadValue,
            name,
            Severity::Rejected,
            format!("field querier.query_store_after is {:?}: write {WANTED}", scalar.text),
        )
    };
    parse(&scalar.text).map(Some).ok_or_else(|| vec![bad()])
}

fn below<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Content::Mapping(entries) = &node.content else { return None };
    entries.iter().find(|entry| &*entry.key == key).map(|entry| &*entry.value)
}

/// Parses a Go duration without fractions, such as `12h0m0s`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        let found = of_document("mimir.yaml", text.as_bytes()).unwrap();
        assert_eq!(found, expected.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn it_is_found_in_a_whole_configuration() {
        check("limits: {}\nquerier:\n    query_store_after: 12h0m0s\n", Some(12 * 3600));
        check("querier: {query_store_after: 0s}", Some(0));
        check("querier: {query_store_after: 0}", Some(0));
        check("querier: {query_store_after: 1h30m}", Some(5400));
        for none in ["", "limits: {}", "querier: {}", "querier: []", "querier: {query_store_after: }", "querier: ["] {
            check(none, None);
        }
    }

    #[test]
    fn an_invalid_duration_is_reported_with_its_line() {
        let problem = of_document("mimir.yaml", b"querier:\n  query_store_after: soon").unwrap_err();
        assert_eq!(
            problem[0].to_string(),
            "mimir.yaml:2: field querier.query_store_after is \"soon\": write a duration such as 12h or 1h30m"
        );
    }
}
