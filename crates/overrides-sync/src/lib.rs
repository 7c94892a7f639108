//! The server that watches Mimir's overrides and serves them to every mimir-rls.
//!
//! A source of `limits-source` publishes a control state, [`publication`] turns it into a version with the changes since earlier versions, and [`feed`]
//! sends each client what it does not have yet, whenever its connection has room.
//!
//! Invariant: a client always receives one complete version, and whichever versions it misses, it ends with the entries of the newest.

mod app;
mod args;
mod config;
mod documents;
mod events;
mod feed;
mod metrics;
mod publication;
mod status;
mod webhook;

pub use app::App;
pub use args::Args;
pub use config::Config;
