//! What every server of the project shares: logs, readiness, signals and drain, and the HTTP side with metrics and probes.
//!
//! Nothing here knows what a server decides.

mod http;
mod readiness;
mod shutdown;
mod telemetry;

pub use http::{HttpServer, observability_routes};
pub use readiness::{Phase, Readiness};
pub use shutdown::{Shutdown, listen_for_signals};
pub use telemetry::{LogFilter, LogFormat, LogHandle, LogSettings, Logs, init_logs};
