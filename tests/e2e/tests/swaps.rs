//! Edge config and limits are swapped by symbolic links, many times, while pushes come in.

use e2e::{Edge, Load, WatchedFile, push_request, samples, until};

const SWAPS: u32 = 100;
/// Both documents agree on `always` and `never`, and differ in what becomes of `limited`.
const LIMITS: [&str; 2] = [
    "overrides: { always: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }, never: { ingestion_rate: 1, ingestion_burst_size: 5 }, \
     limited: { ingestion_rate: 0.001, ingestion_burst_size: 5 }, shadowed: { ingestion_rate: 1, ingestion_burst_size: 5 } }",
    "overrides: { never: { ingestion_rate: 1, ingestion_burst_size: 5 }, shadowed: { ingestion_rate: 1, ingestion_burst_size: 5 }, \
     always: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 }, another: { request_rate: 1 } }",
];
/// So do these, and differ in what becomes of `shadowed`.
const EDGE_CONFIGS: [&str; 2] = [
    "{ mode: enforce, tenants: { always: { mode: enforce } } }",
    "{ mode: enforce, tenants: { shadowed: { mode: shadow }, always: { edge_limits: { max_body_bytes: 1000000 } } } }",
];

fn document(documents: [&'static str; 2], number: u32) -> &'static str {
    let [even, odd] = documents;
    if number.is_multiple_of(2) { even } else { odd }
}

#[test]
fn a_hundred_document_swaps_cause_no_error_or_wrong_decision() {
    let limits = WatchedFile::absent();
    limits.swap(document(LIMITS, 0));
    let edge = Edge::builder().edge_config(document(EDGE_CONFIGS, 0)).start_with(limits);
    let body = samples(10);
    let load = |tenant: &str| Load::start(edge.port(), vec![push_request(tenant, &body.bytes); 2]);
    let (always, never) = (load("always"), load("never"));
    for number in 1..=SWAPS {
        edge.limits.swap(document(LIMITS, number));
        edge.edge_config.swap(document(EDGE_CONFIGS, number));
        always.wait_for_more(1);
        // Each tenth or eleventh is left alone until it is in force; the others follow each other faster than files are looked at.
        if number % 10 < 2 {
            let expected = if number.is_multiple_of(2) { 429 } else { 200 };
            for tenant in ["limited", "shadowed"] {
                until("the swapped documents hold", || edge.push(tenant, &body.bytes).status == expected);
            }
        }
    }
    let (always, never) = (always.stop(), never.stop());

    assert_eq!((always.of(200), always.errors.len()), (always.answers(), 0), "{always:?}");
    assert_eq!((never.of(429), never.errors.len()), (never.answers(), 0), "{never:?}");
    assert_eq!(edge.upstream.requests_of("always").len(), always.of(200));
    assert_eq!(edge.upstream.requests_of("never").len(), 0);
    assert_eq!(edge.rls.metric("rls_limits_problems"), Some(0.0));
    // The first, and the 20 that were waited for.
    assert!(edge.rls.metric("rls_limits_version") >= Some(21.0), "{:?}", edge.rls.metric("rls_limits_version"));
}
