//! What all servers of the project share: `main`, flags, logs, readiness, signals and drain, listeners and TLS, the HTTP side with metrics and probes, and
//! the parts of the gRPC side.
//!
//! Nothing here knows what a server decides.

mod args;
mod connections;
mod flag_files;
mod grpc;
mod http;
mod listener;
mod pages;
mod program;
mod readiness;
mod reload;
mod rendering;
mod serving;
mod settings;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
mod token;

pub use args::{ServerArgs, ServerSecurity, reject_shared_addresses, with_variable};
pub use connections::{Connection, ConnectionBounds, ConnectionCounts, Connections, UnreadBounds};
pub use flag_files::{FlagFile, reject_shared_files};
pub use grpc::{GrpcListener, health_service, reflection_service};
pub use http::{HttpBounds, HttpServer, observability_routes};
pub use listener::{ListenAddress, Listener, SocketFile};
pub use pages::{Fault, page_rows, problems_route};
pub use program::run_program;
pub use readiness::{Phase, Readiness};
pub use serving::{Serving, Shutdown, listen_for_signals};
pub use settings::Setting;
pub use telemetry::{LogFilter, LogFormat, LogHandle, LogSettings, Logs, init_logs};
pub use tls::{Protocol, Tls, TlsFileMetrics, TlsFiles, TlsMetrics, follow_expiry};
pub use token::TokenFile;
