//! The same over HTTP/2 with prior knowledge, in frames that no library sends.

use e2e::Http2Bytes;

use super::{Case, push};

/// Each case sends so many requests, so that it is over when so many streams have ended.
pub(super) const STREAMS: usize = 1;

const METHOD: (&str, &[u8]) = (":method", b"POST");
const SCHEME: (&str, &[u8]) = (":scheme", b"http");
const PATH: (&str, &[u8]) = (":path", b"/api/v1/push");
const AUTHORITY: (&str, &[u8]) = (":authority", b"edge");
const TENANT: (&str, &[u8]) = ("x-scope-orgid", b"TENANT-0000");

type Lines = &'static [(&'static str, &'static [u8])];

const HEADS: [(&str, Lines); 34] = [
    ("as usual", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT]),
    ("no authority", &[METHOD, SCHEME, PATH, TENANT]),
    ("no scheme", &[METHOD, PATH, AUTHORITY, TENANT]),
    ("no path", &[METHOD, SCHEME, AUTHORITY, TENANT]),
    ("no method", &[SCHEME, PATH, AUTHORITY, TENANT]),
    ("path twice", &[METHOD, SCHEME, (":path", b"/healthz"), PATH, AUTHORITY, TENANT]),
    ("path twice, push first", &[METHOD, SCHEME, PATH, (":path", b"/healthz"), AUTHORITY, TENANT]),
    ("method twice", &[(":method", b"GET"), METHOD, SCHEME, PATH, AUTHORITY, TENANT]),
    ("pseudo-header last", &[METHOD, SCHEME, AUTHORITY, TENANT, PATH]),
    ("unknown pseudo-header", &[METHOD, SCHEME, PATH, AUTHORITY, (":none", b"refund"), TENANT]),
    ("extended CONNECT", &[(":method", b"CONNECT"), (":protocol", b"websocket"), SCHEME, PATH, AUTHORITY, TENANT]),
    ("path with slashes", &[METHOD, SCHEME, (":path", b"//api//v1//push"), AUTHORITY, TENANT]),
    ("path with dots", &[METHOD, SCHEME, (":path", b"/x/../api/./v1/push"), AUTHORITY, TENANT]),
    ("path with an escaped slash", &[METHOD, SCHEME, (":path", b"/api%2fv1%2fpush"), AUTHORITY, TENANT]),
    ("path with an escape", &[METHOD, SCHEME, (":path", b"/api/v1/pus%68"), AUTHORITY, TENANT]),
    ("path with a fragment", &[METHOD, SCHEME, (":path", b"/healthz#/api/v1/push"), AUTHORITY, TENANT]),
    ("path with a space", &[METHOD, SCHEME, (":path", b"/api/v1/push HTTP/1.1"), AUTHORITY, TENANT]),
    ("path with a line", &[METHOD, SCHEME, (":path", b"/healthz HTTP/1.1\r\nX: /api/v1/push"), AUTHORITY, TENANT]),
    ("path as a URL", &[METHOD, SCHEME, (":path", b"http://edge/api/v1/push"), AUTHORITY, TENANT]),
    (
        "method with a line",
        &[(":method", b"POST /api/v1/push HTTP/1.1\r\nX:"), SCHEME, (":path", b"/healthz"), AUTHORITY, TENANT],
    ),
    ("scheme of another kind", &[METHOD, (":scheme", b"http://edge/x?"), PATH, AUTHORITY, TENANT]),
    ("host beside authority", &[METHOD, SCHEME, PATH, AUTHORITY, ("host", b"other"), TENANT]),
    ("tenant twice", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, TENANT]),
    ("another tenant too", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("x-scope-orgid", b"other")]),
    ("tenant in capitals", &[METHOD, SCHEME, PATH, AUTHORITY, ("X-Scope-OrgID", b"TENANT-0000")]),
    (
        "tenant with a line",
        &[METHOD, SCHEME, PATH, AUTHORITY, ("x-scope-orgid", b"TENANT-0000\r\nx-scope-orgid: other")],
    ),
    ("name with a line", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("x\r\ny", b"z")]),
    ("transfer-encoding", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("transfer-encoding", b"chunked")]),
    ("connection", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("connection", b"x-scope-orgid")]),
    ("upgrade", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("upgrade", b"websocket")]),
    ("te", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("te", b"gzip")]),
    ("a length of 0", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("content-length", b"0")]),
    ("a length of 5", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("content-length", b"5")]),
    ("partial body", &[METHOD, SCHEME, PATH, AUTHORITY, TENANT, ("x-envoy-auth-partial-body", b"true")]),
];

fn case(name: &str, bytes: Http2Bytes) -> Case {
    Case { name: format!("HTTP/2: {name}"), bytes: bytes.bytes(), http2: true }
}

pub(super) fn cases() -> Vec<Case> {
    let body = push();
    let usual: Lines = &[METHOD, SCHEME, PATH, AUTHORITY, TENANT];
    let begin = || Http2Bytes::new(&[]).headers(1, usual, false);
    let halves = body.split_at(body.len() / 2);
    let framed = [
        ("body in two frames", begin().data(1, halves.0, false).data(1, halves.1, true)),
        (
            "body byte by byte",
            body.iter().fold(begin(), |bytes, byte| bytes.data(1, &[*byte], false)).data(1, &[], true),
        ),
        ("trailers", begin().data(1, &body, false).headers(1, &[("x-late", b"1")], true)),
        ("trailer of a tenant", begin().data(1, &body, false).headers(1, &[("x-scope-orgid", b"other")], true)),
        ("trailer of a path", begin().data(1, &body, false).headers(1, &[(":path", b"/healthz")], true)),
        ("body after the end", Http2Bytes::new(&[]).headers(1, usual, true).data(1, &body, true)),
        ("body before the head", Http2Bytes::new(&[]).data(1, &body, false).headers(1, usual, true)),
        ("reset after the body", begin().data(1, &body, false).reset(1)),
        ("an even stream", Http2Bytes::new(&[]).headers(2, usual, false).data(2, &body, true)),
        ("streams in descending order", begin().data(1, &body, true).headers(1, usual, false).data(1, &body, true)),
    ];
    let heads =
        HEADS.map(|(name, lines)| case(name, Http2Bytes::new(&[]).headers(1, lines, false).data(1, &body, true)));
    heads.into_iter().chain(framed.map(|(name, bytes)| case(name, bytes))).collect()
}
