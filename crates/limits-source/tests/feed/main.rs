//! The feed source against servers that this test scripts, message by message.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod limits_rejected;
mod limits_taken;
mod mimir;
mod server;
mod streams;
mod support;
