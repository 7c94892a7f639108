//! The server that watches Mimir's overrides and serves them to every mimir-rls.
//!
//! The way of a change through this crate: a source of `limits-source` publishes a control state, [`publication`] makes of it a version and what
//! changed since the versions before, and [`feed`] hands each client, whenever its connection has room, what it does not have yet. Everything else
//! is the life of the process.
//!
//! Invariant: what a client is handed is always one whole version, and whichever versions a client misses, it ends with the entries of the newest.

mod app;
mod args;
mod config;
mod events;
mod feed;
mod metrics;
mod publication;
mod webhook;

pub use app::App;
pub use args::Args;
pub use config::Config;
