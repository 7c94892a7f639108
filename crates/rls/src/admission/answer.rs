//! A `CheckResponse` as a complete gRPC response, for calls that never reach the service.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::envoy::service::auth::v3::CheckResponse;
use tonic::body::Body;

/// One uncompressed message, and the trailers of a call that went well.
pub(super) fn grpc(answer: &CheckResponse) -> Response<Body> {
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
