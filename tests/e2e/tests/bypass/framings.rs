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

/// A push behind something else on the same connection, or inside of it.
fn behind() -> impl Iterator<Item = Case> {
    let push = http1(&[b"POST /api/v1/push HTTP/1.1", b"Host: edge", b"X-Scope-OrgID: TENANT-0000"]);
    let old = http1(&[b"POST /api/v1/push HTTP/1.0", b"X-Scope-OrgID: TENANT-0000", b"Connection: keep-alive"]);
    let health = b"GET /healthz HTTP/1.1\r\nHost: edge\r\n\r\n".to_vec();
    let with_body = |lines: &str, inner: &[u8]| [lines.as_bytes(), inner].concat();
    let length = |bytes: &[u8]| format!("Content-Length: {}\r\n\r\n", bytes.len());
    let smuggled = chunks(b"", 10, "", "").into_iter().chain(push.iter().copied()).collect::<Vec<u8>>();
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    [
        ("two pushes in a row", [push.clone(), push.clone()].concat()),
        ("a push behind a health check", [health.clone(), push.clone()].concat()),
        ("a push behind an unknown path", [b"GET /x HTTP/1.1\r\nHost: edge\r\n\r\n".to_vec(), push.clone()].concat()),
        ("a push behind empty lines", [b"\r\n\r\n".to_vec(), push.clone()].concat()),
        (
            "a push in the body of a health check",
            with_body(&format!("GET /healthz HTTP/1.1\r\nHost: edge\r\n{}", length(&push)), &push),
        ),
        ("a push behind a health check of no length", with_body("POST /healthz HTTP/1.1\r\nHost: edge\r\n\r\n", &push)),
        (
            "a push behind CL.TE",
            with_body(&format!("{PUSH}Transfer-Encoding: chunked\r\n{}", length(&smuggled)), &smuggled),
        ),
        (
            "a push behind TE.CL",
            with_body(&format!("{PUSH}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"), &smuggled),
        ),
        (
            "a push behind an empty chunked push",
            with_body(&format!("{PUSH}Transfer-Encoding: chunked\r\n\r\n"), &smuggled),
        ),
        (
            "a push behind an Expect",
            with_body(&format!("{PUSH}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"), &push),
        ),
        (
            "a push behind an upgrade to HTTP/2",
            with_body(&format!("GET /healthz HTTP/1.1\r\nHost: edge\r\n{upgrade}\r\n"), &push),
        ),
        ("a push that upgrades to HTTP/2", http1(&[format!("{PUSH}{}", upgrade.trim_end()).as_bytes()])),
        ("a push behind a CONNECT", with_body("CONNECT edge:80 HTTP/1.1\r\nHost: edge:80\r\n\r\n", &push)),
        ("two pushes over HTTP/1.0", [old.clone(), old.clone()].concat()),
        ("a push over HTTP/1.1 behind one over HTTP/1.0", [old.clone(), push.clone()].concat()),
        ("a push over HTTP/1.0 behind one over HTTP/1.1", [push.clone(), old].concat()),
        (
            "a push over HTTP/1.0 with chunks",
            with_body(
                &PUSH.replace("1.1", "1.0"),
                &with("Transfer-Encoding: chunked", &chunks(&self::push(), 9, "", "")).split_off(PUSH.len()),
            ),
        ),
        ("a push without a length", with_body(&format!("{PUSH}\r\n"), &self::push())),
        (
            "a push over HTTP/1.0 without a length",
            with_body(&format!("{}\r\n", PUSH.replace("1.1", "1.0")), &self::push()),
        ),
        ("a push behind the preface of HTTP/2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), push].concat()),
    ]
    .into_iter()
    .map(|(name, bytes)| Case::new(name, bytes))
}

pub(super) fn cases() -> Vec<Case> {
    chunked().chain(lengths()).chain(versions()).chain(behind()).collect()
}
