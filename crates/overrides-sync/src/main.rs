//! The server that watches Mimir's overrides and serves them to every mimir-rls.

fn main() {}
