//! Writes the committed seeds: a few small inputs for each target, from what a real Mimir was sent (`tests/golden`) and from what reaches the
//! corners. `cargo run --example seeds` in `fuzz/`.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use limits::{LimitsState, SourceDocument, TenantLimits, render_cache};
use prost::Message;
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{
    ElectedPart, ElectedReplica, Heartbeat, LimitsPart, Problem, ProblemList, TenantLimits as Entry, Version,
    WatchResponse,
};
use remote_write::Protocol;
use remote_write::encode::{
    Buckets, Count, Encoder, Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata,
};

const NOW: i64 = 1_700_000_060_000;
const MAX_BYTES: usize = 2048;
/// Longer than a tenant of each kind of strictness allows.
const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345";

fn main() {
    pushes();
    overrides();
    should_rate_limit();
    feed();
    cache();
}

fn write(target: &str, name: &str, input: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join(name), input).expect("a file can be written");
}

fn with_choice(choice: u8, bytes: &[u8]) -> Vec<u8> {
    [&[choice], bytes].concat()
}

/// Pushes with everything that a series can have.
fn everything(replica: &str) -> Vec<Series> {
    let labels =
        [("__name__", "m_total"), ("__replica__", replica), ("cluster", "one"), ("job", "api"), ("pod", "p-1")];
    let mut first = Series::sample(&labels, 1.5, NOW - 5);
    first.samples.push((2.5, NOW));
    first.exemplars.push(Exemplar { labels: vec![("trace_id".into(), "abc".into())], value: 1.0, timestamp_ms: NOW });
    first.metadata = Some(SeriesMetadata { kind: MetricKind::Counter, help: "Help.".into(), unit: "s".into() });
    let mut second = Series::sample(&[("__name__", "h"), ("a", LONG), ("job", LONG)], 0.0, NOW);
    second.samples.clear();
    second.histograms.push(Histogram {
        timestamp_ms: NOW,
        schema: 1,
        sum: 3.0,
        count: Count::Integer(3),
        zero_threshold: 0.1,
        zero_count: Count::Integer(1),
        positive: Buckets::default(),
        negative: Buckets::default(),
        ..Histogram::default()
    });
    vec![first, second]
}

fn pushes() {
    let about = SeriesMetadata { kind: MetricKind::Counter, help: "Help.".into(), unit: String::new() };
    let metadata = Metadata { family: "m_total".into(), about };
    let mut encoder = Encoder::new();
    for (protocol, target) in [(Protocol::V1, "remote_write_v1"), (Protocol::V2, "remote_write_v2")] {
        let plain = encoder.encode_plain(protocol, &everything("a"), std::slice::from_ref(&metadata)).to_vec();
        for choice in [0, 1, 3, 9, 11] {
            write(target, &format!("everything-{choice}"), &with_choice(choice, &plain));
        }
        write(target, "compressed", &with_choice(4, &fuzz::compress(&plain)));
        let bit = u8::from(protocol == Protocol::V2);
        for rules in 0..8_u8 {
            let choice = bit | ((rules % 4) << 3) | ((rules & 1) << 1) | 4 | (rules << 5);
            write("remote_write_rules", &format!("{bit}-{rules}"), &with_choice(choice, &plain));
        }
        for limits in 0..4_u8 {
            write("early", &format!("{bit}-{limits}"), &with_choice(bit | (limits << 1) | (limits << 3), &plain));
        }
        for tenant in
            ["team", "over", "team:k=v", "requests", "strict", "relabel", "pairs", "each", "shadow", "off", "a|b"]
        {
            let version = if bit == 1 { ";proto=io.prometheus.write.v2.Request" } else { "" };
            let head =
                format!("x-scope-orgid:{tenant}\ncontent-type:application/x-protobuf{version}\nretry-attempt:3\n\n");
            let name = format!("{}-{bit}", tenant.replace([':', '=', '|'], "_"));
            write("check", &name, &with_choice(2, &[head.as_bytes(), &plain].concat()));
        }
    }
    recorded();
}

/// Small pushes of the recorded cases, one for each kind of answer.
fn recorded() {
    let cases = include_str!("../../tests/golden/cases.jsonl");
    let mut seen = std::collections::BTreeSet::new();
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a recorded case");
        for step in case["steps"].as_array().expect("steps") {
            let body = STANDARD.decode(step["body"].as_str().unwrap_or_default()).unwrap_or_default();
            let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap_or_default();
            let text = step["response"]["body"].as_str().unwrap_or_default();
            let kind: String = text
                .split_once("(err-")
                .map(|(_, rest)| rest.chars().take_while(|char| *char != ')').collect())
                .unwrap_or_default();
            let is_v2 = step["headers"].to_string().contains("write.v2");
            if plain.is_empty() || plain.len() > MAX_BYTES || seen.len() >= 24 || !seen.insert((kind.clone(), is_v2)) {
                continue;
            }
            let target = if is_v2 { "remote_write_v2" } else { "remote_write_v1" };
            let name = if kind.is_empty() { "recorded".to_owned() } else { format!("recorded-{kind}") };
            write(target, &name, &with_choice(1, &plain));
        }
    }
}

const DOCUMENTS: [(&str, &str); 6] = [
    (
        "mimir",
        "runtime.yaml\noverrides:\n  a: { ingestion_rate: 10, ingestion_burst_size: 20 }\n  \"a:k=v\": { ingestion_rate: 1 }\n  b:\n    request_rate: 5\n    accept_ha_samples: true\n    past_grace_period: 1h\n    name_validation_scheme: utf8\n",
    ),
    (
        "relabel",
        "runtime.yaml\noverrides: { a: { drop_labels: [x], metric_relabel_configs: [{ action: replace, source_labels: [b, c], separator: '-', regex: '(.*)-(.+)', target_label: d, replacement: '$1' }, { action: hashmod, source_labels: [d], modulus: 8, target_label: e }] } }",
    ),
    ("flat", "a.ingestion_rate\n5\0a.request_rate\n\"7\"\0b.ingestion_burst_size\nmany\0README\nhello"),
    ("refused", "runtime.yaml\noverrides: { a: { ingestion_rate: fast }, a: {} }\0more.yaml\noverrides: ["),
    (
        "aliases",
        "runtime.yaml\noverrides:\n  a: &x { ingestion_rate: 1_000, ingestion_burst_size: 0x10 }\n  b: *x\n  c: { <<: *x, request_rate: .5 }\n---\nsecond: document\n",
    ),
    ("empty", "runtime.yaml\noverrides: {}\nmulti_kv_config: { primary: x }\n"),
];

fn overrides() {
    for (name, text) in DOCUMENTS {
        write("overrides", name, &with_choice(u8::from(name == "empty"), text.as_bytes()));
    }
}

fn should_rate_limit() {
    let lines = "tenant team 5\ntenant_requests team 1\ntenant over 4\ntenant over\ntenant off 9\nother team 1\ntenant team:k=v 3\n-tenant over 2\n-receipt x";
    write("should_rate_limit", "lines", &with_choice(0, lines.as_bytes()));
    write(
        "should_rate_limit",
        "large",
        &with_choice(0, b"tenant over 18446744073709551615\ntenant requests 1\ntenant_requests requests 3"),
    );
    let raw = b"\n\x05mimir\x12\x12\n\x10\n\x06tenant\x12\x06shadow\x18\x09";
    write("should_rate_limit", "raw", &with_choice(1, raw));
}

fn put(tenant: &str, mode: i32, fields: &str) -> Entry {
    Entry { tenant: tenant.to_owned(), mode, fields: fields.to_owned() }
}

fn part(resource_version: &str, complete: bool, last: bool, put: Vec<Entry>, removed: &[&str]) -> Update {
    let version = Version {
        epoch: 7,
        sequence: 1,
        uid: if resource_version.is_empty() { String::new() } else { "u".to_owned() },
        resource_version: resource_version.to_owned(),
        content_sum: 0,
    };
    let removed = removed.iter().map(|tenant| (*tenant).to_owned()).collect();
    Update::Limits(LimitsPart { version: Some(version), complete, last, put, removed })
}

fn feed() {
    let heartbeat = Update::Heartbeat(Heartbeat { stale_millis: 5, distributors: 3, has_ha_tracker: true });
    let replica = ElectedReplica {
        tenant: "a".into(),
        cluster: "one".into(),
        replica: "r".into(),
        received_at: 1,
        elected_at: 1,
    };
    let elected = Update::Elected(ElectedPart {
        requested_at_unix_millis: 5,
        age_millis: Some(7),
        last: true,
        elected: vec![replica],
    });
    let problem =
        Problem { document: "runtime.yaml".into(), line: Some(3), message: "is wrong".into(), ..Problem::default() };
    let problems = Update::Problems(ProblemList { problems: vec![problem] });
    let all = part(
        "5",
        true,
        true,
        vec![put("a", 0, "{ingestion_rate: 5}"), put("b", 1, "{request_rate: 2, new_field: 3}")],
        &[],
    );
    let change = part("6", false, true, vec![put("a", 1, "{ingestion_rate: 6}")], &["b"]);
    let older = part("4", false, true, vec![put("c", 0, "{drop_labels: [x]}")], &[]);
    let halves =
        [part("7", true, false, vec![put("a", 0, "{}")], &[]), part("7", true, true, vec![put("b", 0, "{}")], &[])];
    let bad = part("8", false, true, vec![put("a", 9, "{ingestion_rate: [}")], &["nobody"]);
    let streams: [(&str, Vec<Option<Update>>); 3] = [
        ("usual", vec![Some(heartbeat.clone()), Some(all.clone()), Some(problems), Some(elected), Some(change)]),
        ("older", vec![Some(heartbeat), Some(all.clone()), None, Some(older), Some(bad)]),
        ("halves", halves.into_iter().map(Some).chain([None, Some(all)]).collect()),
    ];
    for (name, updates) in streams {
        let messages = updates.into_iter().map(|update| WatchResponse { update });
        let bytes: Vec<u8> = messages.flat_map(|message| message.encode_length_delimited_to_vec()).collect();
        for choice in [0, 1] {
            write("feed", &format!("{name}-{choice}"), &with_choice(choice, &bytes));
        }
    }
}

fn cache() {
    let text = "overrides: { a: { ingestion_rate: 10, drop_labels: [x] }, \"a:k=v\": { ingestion_rate: 1 }, b: { request_rate: 5 } }";
    let mut state = LimitsState::new(TenantLimits::default(), false);
    let limits = state.apply(&[SourceDocument::new("runtime.yaml", text)]).snapshot.expect("a good document");
    let written = render_cache(&limits, std::num::NonZeroU32::new(3)).expect("it is small");
    write("cache", "whole", &with_choice(9, written.as_bytes()));
    let body = written.split_once('\n').expect("a title").1;
    write("cache", "body", &with_choice(9, body.as_bytes()));
    write("cache", "shadow", &with_choice(9, body.replace("mode: enforce", "mode: shadow").as_bytes()));
}
