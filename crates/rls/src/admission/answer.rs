//! Answers to calls that never reach their service: a denial as a complete gRPC response of that service.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use enforce::{BucketOwner, Denial};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use limits::Tenant;
use prost::Message;
use tonic::body::Body;

use edge::{Edge, Verdict};

use crate::envoy::{check_response, rate_limit_response};

/// A service whose calls can be denied before they reach it.
pub(crate) trait Deny {
    /// The answer to a call that is denied, since `started` in the server.
    fn deny(&self, tenant: Option<&Tenant<'_>>, denial: Denial, started: Instant) -> Response<Body>;
}

/// For Check: the denial goes to Envoy's client.
#[derive(Clone)]
pub(crate) struct DenyCheck(pub Edge);

impl Deny for DenyCheck {
    fn deny(&self, tenant: Option<&Tenant<'_>>, denial: Denial, started: Instant) -> Response<Body> {
        grpc(&check_response(self.0.deny(tenant, denial, started)))
    }
}

/// For the rate limit call: over the limit, or OK where a denial is only counted.
#[derive(Clone)]
pub(crate) struct DenyRateLimit(pub Edge);

impl Deny for DenyRateLimit {
    fn deny(&self, tenant: Option<&Tenant<'_>>, denial: Denial, _started: Instant) -> Response<Body> {
        let verdict = Verdict::not_received(&self.0.pipeline().control(), tenant, denial);
        let owner = tenant.map(|tenant| BucketOwner { tenant: *tenant, has_override: verdict.has_override });
        self.0.recorder().rate_limit(owner.as_ref(), verdict.mode, 0, verdict.decision.as_ref().copied());
        grpc(&rate_limit_response(Vec::new(), verdict.denial_to_send()))
    }
}

/// One uncompressed message, with trailers of status OK.
fn grpc(answer: &impl Message) -> Response<Body> {
    let message = answer.encode_to_vec();
    let mut frame = BytesMut::with_capacity(message.len().saturating_add(super::message::HEADER_BYTES));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    let trailers = HeaderMap::from_iter([(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(http::header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    response
}
