//! Duplicate and odd headers, of the client's and of Envoy's own.

use super::{Case, http1};

const TENANT: &[u8] = b"X-Scope-OrgID: TENANT-0000";

/// Lines in addition to the tenant's.
const LINES: [&[u8]; 62] = [
    b"x-envoy-auth-partial-body: true",
    b"x-envoy-auth-failure-mode-allowed: true",
    b"x-envoy-original-path: /healthz",
    b"x-envoy-original-method: GET",
    b"x-envoy-internal: true",
    b"x-envoy-external-address: 10.0.0.1",
    b"x-envoy-upstream-rq-timeout-ms: 1",
    b"x-envoy-max-retries: 9",
    b"x-envoy-retry-on: 5xx,retriable-status-codes",
    b"x-envoy-hedge-on-per-try-timeout: true",
    b"x-envoy-ip-tags: internal",
    b"x-envoy-is-timeout-retry: true",
    b"x-envoy-attempt-count: 2",
    b"X-Envoy-Decorator-Operation: x",
    b"X-Original-URL: /healthz",
    b"X-Rewrite-URL: /healthz",
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: other",
    b"X-Forwarded-Path: /healthz",
    b"X-Forwarded-Prefix: /x",
    b"X-HTTP-Method-Override: GET",
    b"X-HTTP-Method: GET",
    b"X-Method-Override: GET",
    b"X-Mimir-Edge-Tenants: other",
    b"X-Mimir-Edge-Traffic: live",
    b"X-Mimir-Edge-Traffic: mirror",
    b"X-Mimir-Edge-Traffic: MIRROR",
    b"X-Mimir-Edge-Traffic: mirror, live",
    b"X-Mimir-Edge-Reason: none",
    b"X-Mimir-SkipLabelNameValidation: true",
    b"X-Mimir-SkipLabelCountValidation: true",
    b"X-Mimir-Samples: 0",
    b"X_Scope_OrgID: other",
    b"X-Scope-OrgID-: other",
    b"Content-Encoding: snappy",
    b"Content-Encoding: gzip",
    b"Content-Encoding: zstd",
    b"Content-Encoding: identity",
    b"Content-Encoding: snappy, gzip",
    b"Content-Type: application/x-protobuf",
    b"Content-Type: application/x-protobuf;proto=prometheus.WriteRequest",
    b"Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
    b"Content-Type: application/x-protobuf;proto=other",
    b"Content-Type: application/json",
    b"Content-Type: text/plain",
    b"Content-Type: ",
    b"X-Prometheus-Remote-Write-Version: 2.0.0",
    b"Retry-Attempt: 999999",
    b"Connection: X-Scope-OrgID",
    b"Connection: Content-Type, Content-Length",
    b"Connection: keep-alive, x-mimir-edge-tenants",
    b"Keep-Alive: timeout=1",
    b"Proxy-Connection: keep-alive",
    b"TE: trailers",
    b"Upgrade: h2c",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"Range: bytes=0-0",
    b"Max-Forwards: 0",
    b"Via: 1.1 x",
];

/// Lines in place of the tenant's.
const TENANTS: [&[&[u8]]; 24] = [
    &[],
    &[b"X-Scope-OrgID:"],
    &[b"X-Scope-OrgID:TENANT-0000"],
    &[b"X-Scope-OrgID: \t TENANT-0000 \t "],
    &[b"x-scope-orgid: TENANT-0000"],
    &[b"X-SCOPE-ORGID: TENANT-0000"],
    &[TENANT, TENANT],
    &[TENANT, TENANT, TENANT],
    &[TENANT, b"x-scope-orgid: TENANT-0000"],
    &[TENANT, b"X-Scope-OrgID: other"],
    &[b"X-Scope-OrgID: other", TENANT],
    &[TENANT, b"X-Scope-OrgID:"],
    &[b"X-Scope-OrgID:", TENANT],
    &[b"X-Scope-OrgID: TENANT-0000,TENANT-0000"],
    &[b"X-Scope-OrgID: TENANT-0000,other"],
    &[b"X-Scope-OrgID: TENANT-0000|TENANT-0000"],
    &[b"X-Scope-OrgID: TENANT-0000|other"],
    &[b"X-Scope-OrgID: TENANT-0000:key=value"],
    &[b"X-Scope-OrgID: TENANT-0000\xff"],
    &[b"X-Scope-OrgID: TENANT-0000\x00"],
    &[b"X-Scope-OrgID : TENANT-0000"],
    &[b"X-Scope-OrgID: x", b" TENANT-0000"],
    &[b"X-Scope-OrgID: TENANT-0000\rX-Scope-OrgID: other"],
    &[b"X-Scope-OrgID: TENANT-0000\nX-Scope-OrgID: other"],
];

const HOSTS: [&[&[u8]]; 8] = [
    &[],
    &[b"Host:"],
    &[b"Host: edge", b"Host: edge"],
    &[b"Host: edge", b"Host: other"],
    &[b"Host: edge/healthz?"],
    &[b"Host: edge:99999"],
    &[b"Host: [::1]"],
    &[b"Host: edge other"],
];

fn with(host: &[&[u8]], lines: &[&[u8]]) -> Vec<u8> {
    let start: &[&[u8]] = &[b"POST /api/v1/push HTTP/1.1"];
    http1(&[start, host, lines].concat())
}

fn shown(lines: &[&[u8]]) -> String {
    lines.join(b" & ".as_slice()).escape_ascii().to_string()
}

pub(super) fn cases() -> Vec<Case> {
    let host: &[&[u8]] = &[b"Host: edge"];
    let after =
        LINES.iter().map(|line| Case::new(format!("header {}", line.escape_ascii()), with(host, &[TENANT, line])));
    let before = LINES.iter().take(35).map(|line| {
        Case::new(format!("header {} first", line.escape_ascii()), with(&[line, b"Host: edge"], &[TENANT]))
    });
    let tenants = TENANTS.iter().map(|lines| Case::new(format!("tenant {}", shown(lines)), with(host, lines)));
    let hosts = HOSTS.iter().map(|lines| Case::new(format!("host {}", shown(lines)), with(lines, &[TENANT])));
    after.chain(before).chain(tenants).chain(hosts).collect()
}
