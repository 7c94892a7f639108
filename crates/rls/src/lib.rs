//! The server that Envoy asks before it lets a push through.
//!
//! The way of a push through this crate: [`admission`] reserves the bytes of a call, [`envoy`] turns its `CheckRequest` into an [`edge::Push`], the
//! [`edge::Pipeline`] decides, and [`envoy`] turns the verdict into a `CheckResponse`. Everything else is the life of the process.

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

pub use app::App;
pub use args::Args;
pub use config::Config;
