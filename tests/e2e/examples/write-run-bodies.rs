//! Writes the bodies of the example pushes of `make run` into `ops/run`: `cargo run -p e2e --example write-run-bodies`.

use std::{fs, io};

fn main() -> io::Result<()> {
    for body in e2e::run_bodies() {
        fs::write(e2e::repository().join("ops/run").join(body.file), body.bytes)?;
    }
    Ok(())
}
