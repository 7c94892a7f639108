//! The recorded pushes of `tests/golden`: what the real Mimir could read is read, with its counts; what it could not read
//! is refused with its text.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use remote_write::{
    BodyError, BodyLimits, ContentType, Exemplars, Protocol, PushCounts, Scratch, content_type, read_push,
};
use serde_json::Value;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };

/// One recorded push with its answer.
struct Step {
    case: String,
    number: usize,
    step: Value,
}

impl Step {
    fn text(&self, pointer: &str) -> &str {
        self.step.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn protocol(&self) -> ContentType {
        content_type(self.step.pointer("/headers/Content-Type").and_then(Value::as_str).map(str::as_bytes))
    }

    fn read(&self) -> Result<PushCounts, BodyError> {
        let body = STANDARD.decode(self.text("/body")).unwrap();
        let protocol = match self.protocol() {
            ContentType::Known(protocol) => protocol,
            ContentType::Unknown => Protocol::V1,
        };
        // The tenants of these cases are the only ones that store exemplars.
        let stores = self.case.starts_with("exemplars_stored") || self.case.starts_with("exemplar_");
        let exemplars = if stores { Exemplars::Read } else { Exemplars::Skip };
        read_push(protocol, &body, LIMITS, exemplars, &mut Scratch::default())
    }

    /// Mimir's text, if it answered 400 because it could not read the body.
    fn unreadable(&self) -> Option<&str> {
        let text = self.text("/response/body").trim_end_matches('\n');
        let about_the_body = ["getting snappy", "decompress snappy", "the incoming push", "proto: ", "unexpected EOF"];
        about_the_body.iter().any(|start| text.starts_with(start)).then_some(text)
    }

    fn written(&self, what: &str) -> Option<u64> {
        let header = format!("/response/headers/x-prometheus-remote-write-{what}-written");
        self.step.pointer(&header).and_then(Value::as_str).map(|number| number.parse().unwrap())
    }

    /// Whether Mimir read the body: it answers for the tenant, the method and the request rate without.
    fn was_read(&self) -> bool {
        let refused_before = self.text("/response/body").contains("request rate limit");
        matches!(self.step["response"]["status"].as_u64(), Some(200 | 202 | 400 | 429)) && !refused_before
    }
}

fn steps() -> Vec<Step> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cases.jsonl");
    let cases = std::fs::read_to_string(path).unwrap();
    let cases = cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    cases.flat_map(|case| steps_of(&case)).filter(|step| step.text("/method") == "POST").collect()
}

fn steps_of(case: &Value) -> Vec<Step> {
    let name = case["case"].as_str().unwrap();
    let steps = case["steps"].as_array().unwrap().iter().enumerate();
    steps.map(|(number, step)| Step { case: name.to_owned(), number, step: step.clone() }).collect()
}

#[test]
fn refuses_unreadable_bodies_with_mimirs_text() {
    let mut seen = 0;
    for step in steps() {
        let Some(text) = step.unreadable() else { continue };
        let refusal = step.read().unwrap_err().to_string();
        assert_eq!(refusal, text, "{} step {}", step.case, step.number);
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} unreadable bodies were recorded");
}

#[test]
fn reads_every_body_that_mimir_read() {
    let mut seen = 0;
    for step in steps().iter().filter(|step| step.was_read() && step.unreadable().is_none()) {
        let read = step.read();
        assert!(read.is_ok(), "{} step {}: {read:?}", step.case, step.number);
        seen += 1;
    }
    assert!(seen >= 450, "only {seen} readable bodies were recorded");
}

#[test]
fn counts_what_mimir_says_it_received() {
    let mut seen = 0;
    for step in steps().iter().filter(|step| step.was_read() && step.unreadable().is_none()) {
        let Some(samples) = step.written("samples") else { continue };
        let counts = step.read().unwrap();
        let expected = (samples, step.written("histograms").unwrap(), step.written("exemplars").unwrap());
        assert_eq!((counts.samples, counts.histograms, counts.exemplars), expected, "{} {}", step.case, step.number);
        seen += 1;
    }
    assert!(seen >= 30, "only {seen} answers with counts were recorded");
}

/// Plays a case against a bucket of `burst` tokens: the tenants of these cases get back one token in 100 seconds, that is
/// none.
#[track_caller]
fn check_charges(case: &str, burst: u64) {
    let mut left = burst;
    let mut seen = 0;
    for step in steps().iter().filter(|step| step.case.starts_with(case)) {
        let items = step.read().unwrap().items();
        let accepted = step.step["response"]["status"] == 200;
        assert_eq!(items <= left, accepted, "{case} step {}: {items} items for {left} tokens", step.number);
        left -= if accepted { items } else { 0 };
        seen += 1;
    }
    assert!(seen >= 2, "{case} was not recorded");
    assert_eq!(left, if case.starts_with("ingestion_counts_exemplars") { 2 } else { 0 }, "{case}");
}

#[test]
fn charges_what_mimir_charges() {
    check_charges("ingestion_counts_samples_rw1", 12);
    check_charges("ingestion_counts_samples_rw2", 12);
    check_charges("ingestion_counts_histograms_rw1", 12);
    check_charges("ingestion_counts_histograms_rw2", 12);
    check_charges("ingestion_counts_exemplars_rw1", 12);
    check_charges("ingestion_counts_exemplars_rw2", 12);
    check_charges("ingestion_counts_metadata", 4);
    check_charges("ingestion_rw2_metadata", 4);
    check_charges("exemplars_stored_rw1", 12);
    check_charges("exemplars_stored_rw2", 12);
}
