//! Chunking, trailers, lengths that contradict each other, pipelining, and HTTP versions over HTTP/1's framing.

use super::{Case, http1, push};

const PUSH: &str = "POST /api/v1/push HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: TENANT-0000\r\n";

/// Header lines that say how the body is framed, before a chunked body.
const CHUNKED: [&str; 20] = [
    "Transfer-Encoding: chunked",
    "transfer-encoding: Chunked",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding: \tchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
    "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Scope-OrgID",
];

/// Values of Content-Length before a body of the length that `{}` stands for.
const LENGTHS: [&str; 14] = [
    "Content-Length: +{}",
    "Content-Length: -{}",
    "Content-Length: 0{}",
    "Content-Length: 0x{}",
    "Content-Length: {}.0",
    "Content-Length: {}, {}",
    "Content-Length: {}\r\nContent-Length: {}",
    "Content-Length: {}\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: {}",
    "Content-Length: 0",
    "Content-Length: 18446744073709551616",
    "Content-Length : {}",
    "Content-Length:{}",
    "content-length: {} ",
];

/// Versions in the request line of a push.
const VERSIONS: [&str; 12] = [
    "HTTP/1.0",
    "HTTP/1.1",
    "HTTP/1.2",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/2",
    "HTTP/3",
    "http/1.1",
    "HTTP/1.10",
    "HTTP/01.1",
    "",
    "ICY/1.0",
];

fn chunks(body: &[u8], size: usize, extension: &str, trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend(format!("0\r\n{trailers}\r\n").bytes());
    bytes
}

fn with(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("{PUSH}{head}\r\n\r\n").as_bytes(), body].concat()
}

fn chunked() -> impl Iterator<Item = Case> {
    let body = push();
    let usual = "Transfer-Encoding: chunked";
    let framed = CHUNKED.map(|head| Case::new(format!("framing {head:?}"), with(head, &chunks(&push(), 10, "", ""))));
    let odd = [
        ("chunks of one byte", chunks(&body, 1, "", "")),
        ("chunk extension", chunks(&body, 9, ";name=value", "")),
        ("chunk extension with quotes", chunks(&body, 9, ";name=\"\\\"0\"", "")),
        (
            "chunk size with zeros",
            String::from_utf8_lossy(b"0000").bytes().chain(chunks(&body, 4096, "", "")).collect(),
        ),
        ("chunk size with a plus", b"+".iter().copied().chain(chunks(&body, 4096, "", "")).collect()),
        ("chunk size with 0x", b"0x".iter().copied().chain(chunks(&body, 4096, "", "")).collect()),
        ("chunk size with a space", chunks(&body, 4096, " ", "")),
        ("chunk size too large", [b"ffffffffffffffff\r\n", body.as_slice()].concat()),
        ("trailer of a tenant", chunks(&body, 10, "", "X-Scope-OrgID: other\r\n")),
        ("trailer of a length", chunks(&body, 10, "", "Content-Length: 0\r\nTransfer-Encoding: identity\r\n")),
        ("trailer of Envoy", chunks(&body, 10, "", "x-envoy-auth-partial-body: true\r\n")),
        ("no last chunk", chunks(&body, 4096, "", "").into_iter().take(body.len() + 3).collect()),
        ("line feeds alone", chunks(&body, 10, "", "").split(|byte| *byte == b'\r').collect::<Vec<_>>().concat()),
    ];
    framed.into_iter().chain(odd.map(|(name, body)| Case::new(name, with(usual, &body))))
}

fn lengths() -> impl Iterator<Item = Case> {
    let body = push();
    LENGTHS.into_iter().map(move |line| {
        let head = line.replace("{}", &body.len().to_string());
        Case::new(format!("length {line:?}"), with(&head, &body))
    })
}

fn versions() -> impl Iterator<Item = Case> {
    VERSIONS.into_iter().map(|version| {
        let line = format!("POST /api/v1/push {version}");
        let lines: [&[u8]; 3] = [line.trim_end().as_bytes(), b"Host: edge", b"X-Scope-OrgID: TENANT-0000"];
        Case::new(format!("version {version:?}"), http1(&lines))
    })
}

/// A request line with header lines, and a push behind them, which may be their body.
fn followed_by_push(head: &str) -> Vec<u8> {
    [format!("{head}\r\n\r\n").as_bytes(), &whole_push()].concat()
}

fn whole_push() -> Vec<u8> {
    http1(&[b"POST /api/v1/push HTTP/1.1", b"Host: edge", b"X-Scope-OrgID: TENANT-0000"])
}

/// A push behind something else on the same connection.
fn behind() -> impl Iterator<Item = Case> {
    let expect = format!("{PUSH}Expect: 100-continue\r\nContent-Length: 0");
    [
        ("two pushes in a row", [whole_push(), whole_push()].concat()),
        ("a push behind a health check", followed_by_push("GET /healthz HTTP/1.1\r\nHost: edge")),
        ("a push behind an unknown path", followed_by_push("GET /x HTTP/1.1\r\nHost: edge")),
        ("a push behind empty lines", [b"\r\n\r\n".to_vec(), whole_push()].concat()),
        ("a push behind a health check of no length", followed_by_push("POST /healthz HTTP/1.1\r\nHost: edge")),
        ("a push behind an Expect", followed_by_push(&expect)),
        ("a push behind a CONNECT", followed_by_push("CONNECT edge:80 HTTP/1.1\r\nHost: edge:80")),
        ("a push behind the preface of HTTP/2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), whole_push()].concat()),
    ]
    .into_iter()
    .map(|(name, bytes)| Case::new(name, bytes))
}

/// A push inside of another request, where two ways to frame that one differ about its end.
fn inside() -> impl Iterator<Item = Case> {
    let length = format!("Content-Length: {}", whole_push().len());
    let chunked = "Transfer-Encoding: chunked";
    let smuggled = [chunks(b"", 10, "", ""), whole_push()].concat();
    let smuggled_length = format!("{chunked}\r\nContent-Length: {}", smuggled.len());
    [
        (
            "a push in the body of a health check",
            followed_by_push(&format!("GET /healthz HTTP/1.1\r\nHost: edge\r\n{length}")),
        ),
        ("a push behind CL.TE", with(&smuggled_length, &smuggled)),
        ("a push behind TE.CL", with(&format!("Content-Length: 4\r\n{chunked}"), &smuggled)),
        ("a push behind an empty chunked push", with(chunked, &smuggled)),
    ]
    .into_iter()
    .map(|(name, bytes)| Case::new(name, bytes))
}

fn upgrades() -> impl Iterator<Item = Case> {
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__";
    let health = format!("GET /healthz HTTP/1.1\r\nHost: edge\r\n{upgrade}");
    [
        Case::new("a push behind an upgrade to HTTP/2", followed_by_push(&health)),
        Case::new("a push that upgrades to HTTP/2", http1(&[format!("{PUSH}{upgrade}").as_bytes()])),
    ]
    .into_iter()
}

/// Pushes over HTTP/1.0, alone and with HTTP/1.1 on one connection, and pushes without a length.
fn over_http10() -> impl Iterator<Item = Case> {
    let old = http1(&[b"POST /api/v1/push HTTP/1.0", b"X-Scope-OrgID: TENANT-0000", b"Connection: keep-alive"]);
    let old_head = PUSH.replace("1.1", "1.0");
    let chunked = [b"Transfer-Encoding: chunked\r\n\r\n".to_vec(), chunks(&push(), 9, "", "")].concat();
    [
        ("two pushes over HTTP/1.0", [old.clone(), old.clone()].concat()),
        ("a push over HTTP/1.1 behind one over HTTP/1.0", [old.clone(), whole_push()].concat()),
        ("a push over HTTP/1.0 behind one over HTTP/1.1", [whole_push(), old].concat()),
        ("a push over HTTP/1.0 with chunks", [old_head.clone().into_bytes(), chunked].concat()),
        ("a push without a length", [format!("{PUSH}\r\n").into_bytes(), push()].concat()),
        ("a push over HTTP/1.0 without a length", [format!("{old_head}\r\n").into_bytes(), push()].concat()),
    ]
    .into_iter()
    .map(|(name, bytes)| Case::new(name, bytes))
}

pub(super) fn cases() -> Vec<Case> {
    let usual = chunked().chain(lengths()).chain(versions());
    usual.chain(behind()).chain(inside()).chain(upgrades()).chain(over_http10()).collect()
}
