//! The recorded pushes of `tests/golden`: what the real Mimir could read is read, with its counts; what it could not read
//! is rejected with its text.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limits::{LimitsState, Snapshot, SourceDocument, Tenant, TenantLimits};
use remote_write::{
    BodyError, BodyLimits, ContentType, Protocol, PushCounts, Scratch, Validation, content_type, read_push,
};
use serde_json::Value;

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 100 << 20 };

/// Some time after the samples of the cases, which are of September 2026, or of the year 2100 where they are to be too far
/// in the future.
const NOW: i64 = 1_795_000_000_000;

/// What the cases ran with.
static OVERRIDES: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/runtime.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut state = LimitsState::new(TenantLimits::default(), false);
    state.apply(&[SourceDocument::new("runtime.yaml", &text)]).snapshot.unwrap()
});

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
        read_push(protocol, &body, LIMITS, &self.validation(), NOW, &mut Scratch::default())
    }

    fn validation(&self) -> Validation {
        let header = self.step.pointer("/headers/X-Scope-OrgID").and_then(Value::as_str);
        let tenant = Tenant::parse(header.map(str::as_bytes));
        tenant.map_or_else(
            |_| Validation::new(&TenantLimits::default()),
            |tenant| Validation::of(&OVERRIDES.for_tenant(&tenant)),
        )
    }

    /// The items in Mimir's message, which has them if the push is larger than the burst.
    fn items_in_message(&self) -> Option<u64> {
        let (_, rest) = self.text("/response/body").split_once("ingestion burst size limit, set to ")?;
        let (items, _) = rest.split_once(", with ")?.1.split_once(" items")?;
        Some(items.parse().unwrap())
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
        let denied_before = self.text("/response/body").contains("request rate limit");
        matches!(self.step["response"]["status"].as_u64(), Some(200 | 202 | 400 | 429)) && !denied_before
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
fn rejects_unreadable_bodies_with_mimirs_text() {
    let mut seen = 0;
    for step in steps() {
        let Some(text) = step.unreadable() else { continue };
        let rejection = step.read().unwrap_err().to_string();
        assert_eq!(rejection, text, "{} step {}", step.case, step.number);
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
        let counts = step.read().unwrap().sent;
        let expected = (samples, step.written("histograms").unwrap(), step.written("exemplars").unwrap());
        assert_eq!((counts.samples, counts.histograms, counts.exemplars), expected, "{} {}", step.case, step.number);
        seen += 1;
    }
    assert!(seen >= 30, "only {seen} answers with counts were recorded");
}

#[test]
fn counts_the_items_that_mimir_tells() {
    let mut seen = 0;
    for step in steps().iter().filter(|step| !is_rewritten(&step.case)) {
        let Some(items) = step.items_in_message() else { continue };
        assert_eq!(step.read().unwrap().items(), items, "{} step {}", step.case, step.number);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} answers with items were recorded");
}

/// Whether Mimir takes away labels or series before it looks whether they are valid.
fn is_rewritten(case: &str) -> bool {
    ["ha_", "relabel", "drop_labels"].iter().any(|kind| case.starts_with(kind))
}

/// Plays the cases of a kind against buckets of the tenants' bursts: these tenants get back one token in 100 seconds, that
/// is none. A push that Mimir's ingester rejects was charged before.
#[track_caller]
fn check_charges(kind: &str, least: usize) {
    let mut seen = 0;
    let mut left = (String::new(), 0);
    for step in steps().iter().filter(|step| step.case.starts_with(kind)) {
        let tenant = &OVERRIDES.entry(step.text("/headers/X-Scope-OrgID")).unwrap().limits;
        assert!(tenant.ingestion_rate <= 0.01, "{}", step.case);
        if left.0 != step.case {
            left = (step.case.clone(), tenant.ingestion_burst_size as u64);
        }
        let items = step.read().unwrap().items();
        let denied = step.step["response"]["status"] == 429;
        assert_eq!(items > left.1, denied, "{} step {}: {items} items for {left:?}", step.case, step.number);
        left.1 -= if denied { 0 } else { items };
        seen += 1;
    }
    assert!(seen >= least, "only {seen} pushes of {kind} were recorded");
}

#[test]
fn charges_what_mimir_charges() {
    check_charges("ingestion_counts_", 26);
    check_charges("ingestion_rw2_metadata", 3);
    check_charges("ingestion_empty_free", 3);
    check_charges("exemplars_stored_", 8);
}

#[test]
fn charges_only_what_mimir_finds_valid() {
    check_charges("invalid_", 139);
    check_charges("metadata_", 16);
    check_charges("exemplar_", 6);
}

/// Mimir names the first thing that is wrong, and charges nothing if nothing is right.
#[test]
fn nothing_is_charged_where_mimir_finds_nothing_valid() {
    let mut seen = 0;
    for step in steps().iter().filter(|step| step.text("/edge") == "either" && step.was_read()) {
        if step.unreadable().is_none() && step.text("/response/body").starts_with("received a") {
            assert_eq!(step.read().unwrap().items(), 0, "{} step {}", step.case, step.number);
            seen += 1;
        }
    }
    assert!(seen >= 18, "only {seen} invalid pushes were recorded");
}
