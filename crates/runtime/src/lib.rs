//! What every server of the project shares: logs, readiness, signals and drain, the HTTP side with metrics and probes, what its gRPC side is made
//! of, and the `main` around all of it.
//!
//! Nothing here knows what a server decides.

mod flag_files;
mod grpc;
mod http;
mod metrics;
mod pages;
mod program;
mod readiness;
mod serving;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use flag_files::{FlagFile, refuse_shared_files};
pub use grpc::{Connection, bounded_connections, health_service, reflection_service};
pub use http::{HttpBounds, HttpServer, listen, observability_routes};
pub use metrics::{counter_of, counters_of, gauge_of, register_read};
pub use pages::{Fault, page_rows, problems_route};
pub use program::run_program;
pub use readiness::{Phase, Readiness};
pub use serving::{Serving, Shutdown, listen_for_signals};
pub use telemetry::{LogFilter, LogFormat, LogHandle, LogSettings, Logs, init_logs};
