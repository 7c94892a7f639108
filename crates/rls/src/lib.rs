//! The server that Envoy calls for each push.
//!
//! A push in this crate: [`admission`] reserves the bytes of a call, [`envoy`] turns its `CheckRequest` into an [`edge::Push`], the
//! [`edge::Pipeline`] decides, and [`envoy`] turns the verdict into a `CheckResponse`. The other modules start, configure and stop the process.

mod admin;
mod admission;
mod app;
mod args;
mod config;
mod envoy;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod traces;

pub use app::App;
pub use args::Args;
pub use config::Config;
