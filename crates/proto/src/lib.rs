//! The messages that the edge exchanges with Envoy, and the feed of limits, generated from `proto/` at the root of the workspace.
//!
//! Every `bytes` field is a [`bytes::Bytes`] that shares the buffer of the gRPC message, so a body is never copied.
//! Generated types stay in the shells: no pure crate uses them.

pub use prost_types as well_known;

/// Every definition as a serialized `FileDescriptorSet`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("edge");

/// Messages of our own, under `edge.*`.
pub mod edge {
    /// `edge.limits.*`
    pub mod limits {
        /// `edge.limits.v1`: the feed of limits.
        pub mod v1 {
            tonic::include_proto!("edge.limits.v1");
        }
    }
}

/// Messages under `envoy.*`, laid out as Envoy's packages are.
pub mod envoy {
    /// `envoy.config.*`
    pub mod config {
        /// `envoy.config.core.*`
        pub mod core {
            /// `envoy.config.core.v3`: headers.
            pub mod v3 {
                tonic::include_proto!("envoy.config.core.v3");
            }
        }
    }
    /// `envoy.extensions.*`
    pub mod extensions {
        /// `envoy.extensions.common.*`
        pub mod common {
            /// `envoy.extensions.common.ratelimit.*`
            pub mod ratelimit {
                /// `envoy.extensions.common.ratelimit.v3`: what a limit is asked for.
                pub mod v3 {
                    tonic::include_proto!("envoy.extensions.common.ratelimit.v3");
                }
            }
        }
    }
    /// `envoy.service.*`
    pub mod service {
        /// `envoy.service.auth.*`
        pub mod auth {
            /// `envoy.service.auth.v3`: the ext_authz call.
            pub mod v3 {
                tonic::include_proto!("envoy.service.auth.v3");
            }
        }
        /// `envoy.service.ratelimit.*`
        pub mod ratelimit {
            /// `envoy.service.ratelimit.v3`: the rate limit call.
            pub mod v3 {
                tonic::include_proto!("envoy.service.ratelimit.v3");
            }
        }
    }
    /// `envoy.type.*`
    pub mod r#type {
        /// `envoy.type.v3`: the HTTP status of an answer.
        pub mod v3 {
            tonic::include_proto!("envoy.r#type.v3");
        }
    }
}

/// Messages under `google.*`.
pub mod google {
    /// `google.rpc`: the status of a call.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
