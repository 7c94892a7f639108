//! The server that Envoy asks before it lets a push through.
//!
//! The way of a push through this crate: [`envoy`] turns a `CheckRequest` into a [`push::Push`], [`decide`] runs the steps of the decision in
//! Mimir's order on it, and [`envoy`] turns the verdict into a `CheckResponse`. Everything else is the life of the process.

mod admin;
mod admission;
mod app;
mod args;
mod budget;
mod clock;
mod config;
mod decide;
mod elections;
mod envoy;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod push;
mod records;
mod refusals;
mod rewrites;
mod rules;
mod tenant_metrics;

pub use app::App;
pub use args::Args;
pub use config::Config;
