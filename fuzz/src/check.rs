//! Any `CheckRequest` of Envoy: decoded, decided and answered as over gRPC.
//!
//! Checks: every request has an answer; a preview equals the decision of the charge; a denial is valid HTTP with one of Mimir's
//! status codes; and a tenant in mode shadow or off is never denied.
//!
//! The first byte of an input chooses whether the others are a `CheckRequest` (bit 0), or header lines, an empty line and a body,
//! which is compressed (bit 1), withheld (bit 2) or partial (bit 3), with the headers in the old map (bit 4).

use bytes::Bytes;
use http::{HeaderName, HeaderValue as HttpValue, StatusCode};
use prost::Message;
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, DeniedHttpResponse};

use crate::compress;
use crate::server::{OFF, SERVER, SHADOW};

/// Sends an input as a request.
pub fn send(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let message = if choice & 1 == 0 { build(*choice, bytes).encode_to_vec() } else { bytes.to_vec() };
    let Ok(request) = CheckRequest::decode(message.as_slice()) else { return };
    let tenant = tenant(&request);
    let server = &*SERVER;
    let (previewed, answer) = server
        .runtime
        .block_on(async { (server.services.preview(request.clone()).await, server.services.check(request).await) });
    let (previewed, answer) = (previewed.expect("there are limits"), answer.expect("a denial is an answer"));
    let code = answer.status.as_ref().map(|status| status.code);
    let reason = answer.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
    let bare = tenant.split(|byte| *byte == b':').next().unwrap_or_default();
    let denies_nothing = [SHADOW, OFF].iter().any(|name| name.as_bytes() == bare);
    match answer.http_response.expect("an answer allows or denies") {
        HttpResponse::OkResponse(_) => {
            assert_eq!(code, Some(0));
            assert!(denies_nothing || previewed.is_none(), "the preview denies for {previewed:?}");
        }
        HttpResponse::DeniedResponse(denied) => {
            assert!(code != Some(0) && !denies_nothing);
            assert_eq!(previewed, Some(reason.as_str()), "the preview decides otherwise");
            check_denial(&denied);
        }
    }
}

fn check_denial(denied: &DeniedHttpResponse) {
    let status = denied.status.as_ref().and_then(|status| u16::try_from(status.code).ok());
    let status = StatusCode::from_u16(status.unwrap_or_default()).expect("a denial has a status");
    assert!(matches!(status.as_u16(), 400 | 401 | 413 | 415 | 422 | 429 | 500 | 503 | 529), "{status}");
    for header in denied.headers.iter().filter_map(|option| option.header.as_ref()) {
        HeaderName::from_bytes(header.key.as_bytes()).expect("a header has a legal name");
        let value = if header.raw_value.is_empty() { &header.value } else { &header.raw_value };
        HttpValue::from_bytes(value).expect("a header has a legal value");
    }
    // The answer may quote the request, but only a part.
    assert!(denied.body.len() < 4096, "a text of {} bytes", denied.body.len());
}

fn tenant(request: &CheckRequest) -> Bytes {
    let http = request.attributes.as_ref().and_then(|all| all.request.as_ref()).and_then(|one| one.http.as_ref());
    let Some(http) = http else { return Bytes::new() };
    let in_lines = http.header_map.as_ref().map(|map| {
        let line = map.headers.iter().find(|line| line.key == "x-scope-orgid");
        line.map(|line| if line.raw_value.is_empty() { line.value.clone() } else { line.raw_value.clone() })
    });
    in_lines.unwrap_or_else(|| http.headers.get("x-scope-orgid").cloned()).unwrap_or_default()
}

fn build(choice: u8, bytes: &[u8]) -> CheckRequest {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((bytes, &[][..]), |end| bytes.split_at(end));
    let body = body.get(2..).unwrap_or_default();
    let mut lines: Vec<(String, Bytes)> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default();
            Some((String::from_utf8_lossy(name).to_lowercase(), Bytes::copy_from_slice(value)))
        })
        .collect();
    if choice & 8 != 0 {
        lines.push(("x-envoy-auth-partial-body".to_owned(), Bytes::from_static(b"true")));
    }
    let raw_body = if choice & 2 != 0 { compress(body) } else { body.to_vec() };
    let mut http = HttpRequest { raw_body: raw_body.into(), ..HttpRequest::default() };
    if choice & 16 != 0 {
        http.headers = lines.into_iter().collect();
    } else {
        let headers = lines.into_iter().map(|(key, raw_value)| HeaderValue { key, value: Bytes::new(), raw_value });
        http.header_map = Some(HeaderMap { headers: headers.collect() });
    }
    let mut attributes =
        AttributeContext { request: Some(Request { http: Some(http) }), ..AttributeContext::default() };
    if choice & 4 != 0 {
        attributes.context_extensions.insert("body".to_owned(), "withheld".to_owned());
    }
    CheckRequest { attributes: Some(attributes) }
}
