//! The recorded cases whose tenants have relabelling: what is left of each push after it is what Mimir charged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limits::{LimitsState, Snapshot, SourceDocument, Tenant};
use prost::Message;
use serde_json::Value;
use std::sync::Arc;

use super::*;

/// `prometheus.WriteRequest`, as far as these pushes need it.
#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

fn overrides() -> Arc<Snapshot> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/runtime.yaml"));
    let mut state = LimitsState::new(TenantLimits::default(), false);
    state.apply(&[SourceDocument::new("runtime.yaml", text)]).snapshot.unwrap()
}

fn samples_left(push: &Push, relabeler: &Relabeler, tenant: &str, set: &mut LabelSet) -> i64 {
    let left = push.series.iter().filter(|series| {
        set.clear();
        series.labels.iter().for_each(|label| set.push(&label.name, &label.value));
        relabeler.apply(tenant, set)
    });
    left.map(|series| i64::try_from(series.samples.len()).unwrap()).sum()
}

/// Plays a case against a bucket that gets back one token in 100 seconds, that is none.
fn play(case: &Value, overrides: &Snapshot) -> usize {
    let name = case["tenant"].as_str().unwrap();
    let tenant = Tenant::parse(Some(name.as_bytes())).unwrap();
    let view = overrides.for_tenant(&tenant);
    let Some(relabeler) = Relabeler::compile(&view.tenant.limits).unwrap() else { return 0 };
    let mut set = LabelSet::new();
    let mut tokens = view.ingestion.limits.ingestion_burst_size;
    let steps = case["steps"].as_array().unwrap();
    for step in steps {
        let body = STANDARD.decode(step["body"].as_str().unwrap()).unwrap();
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let charge = samples_left(&Push::decode(plain.as_slice()).unwrap(), &relabeler, tenant.id(), &mut set);
        let accepted = step["response"]["status"] == 200;
        assert_eq!(charge <= tokens, accepted, "{name}: {charge} samples for {tokens} tokens");
        tokens -= if accepted { charge } else { 0 };
    }
    assert_eq!(tokens, 0, "{name} leaves nothing");
    steps.len()
}

#[test]
fn what_relabelling_leaves_is_what_mimir_charged() {
    let cases = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cases.jsonl")).lines();
    let overrides = overrides();
    let played: usize = cases.map(|case| play(&serde_json::from_str(case).unwrap(), &overrides)).sum();
    assert!(played >= 5, "only {played} pushes were recorded");
}
