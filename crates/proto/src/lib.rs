//! The messages that the edge exchanges with Envoy, generated from `proto/` at the root of the workspace.
//!
//! Every `bytes` field is a [`bytes::Bytes`] that shares the buffer of the gRPC message, so a body is never copied.
//! Generated types stay in the shells: no pure crate uses them.

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
    /// `envoy.service.*`
    pub mod service {
        /// `envoy.service.auth.*`
        pub mod auth {
            /// `envoy.service.auth.v3`: the ext_authz call.
            pub mod v3 {
                tonic::include_proto!("envoy.service.auth.v3");
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
