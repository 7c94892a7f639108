//! Any `RateLimitRequest` of Envoy: decoded, charged and answered as over gRPC.
//!
//! Checks: every request has an answer; each descriptor has a status; the request is over its limit only if a descriptor is; a
//! denial is valid HTTP; and a request of another domain is never denied.
//!
//! The first byte of an input chooses whether the others are a `RateLimitRequest` (bit 0), or lines of key, tenant and hits; a
//! key with a leading minus refunds them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue as HttpValue};
use prost::Message;
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::ratelimit::v3::RateLimitRequest;
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;

use crate::server::SERVER;

/// Sends an input as a request.
pub fn send(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let message = if choice & 1 == 0 { build(bytes).encode_to_vec() } else { bytes.to_vec() };
    let Ok(request) = RateLimitRequest::decode(message.as_slice()) else { return };
    let (domain, descriptors) = (request.domain.clone(), request.descriptors.len());
    let answer = SERVER.runtime.block_on(SERVER.services.should_rate_limit(request)).expect("a denial is an answer");
    assert_eq!(answer.statuses.len(), descriptors);
    let over = answer.statuses.iter().any(|status| status.code() == Code::OverLimit);
    match answer.overall_code() {
        Code::OverLimit => assert!(over && domain == "mimir", "nothing is over its limit"),
        Code::Ok => assert!(answer.raw_body.is_empty() && answer.response_headers_to_add.is_empty()),
        Code::Unknown => panic!("an answer has a code"),
    }
    for header in &answer.response_headers_to_add {
        HeaderName::from_bytes(header.key.as_bytes()).expect("a header has a legal name");
        HttpValue::from_bytes(&header.value).expect("a header has a legal value");
    }
}

fn build(bytes: &[u8]) -> RateLimitRequest {
    let descriptors = bytes.split(|byte| *byte == b'\n').take(64).map(|line| {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        let key = String::from_utf8_lossy(word()).into_owned();
        let is_negative_hits = key.starts_with('-');
        let key = key.trim_start_matches('-').to_owned();
        let value = Bytes::copy_from_slice(word());
        let hits_addend = std::str::from_utf8(word()).ok().and_then(|hits| hits.parse().ok());
        RateLimitDescriptor { entries: vec![Entry { key, value: value.into() }], hits_addend, is_negative_hits }
    });
    RateLimitRequest { domain: "mimir".to_owned(), descriptors: descriptors.collect(), hits_addend: 0 }
}
