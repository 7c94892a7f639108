//! The messages that the edge exchanges with Envoy, and the feed of limits, generated from `proto/` at the root of the workspace. Modules are laid out
//! as the packages there: `edge.limits.v1` is the feed, `envoy.*` and `google.rpc` are trimmed copies of Envoy's messages.
//!
//! Every `bytes` field is a [`bytes::Bytes`] that shares the buffer of the gRPC message, so a body is never copied.
//! Generated types stay in the shells: no pure crate uses them.

pub use prost_types as well_known;

/// Every definition as a serialized `FileDescriptorSet`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("edge");

tonic::include_proto!("packages");
