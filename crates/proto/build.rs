//! Compiles the definitions under `proto/` at the root of the workspace.

use std::path::{Path, PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let services = [
        "edge/limits/v1/feed.proto",
        "envoy/service/auth/v3/external_auth.proto",
        "envoy/service/ratelimit/v3/rls.proto",
    ];
    let files = protox::compile(services, [root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("edge.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").include_file("packages.rs").compile_fds(files)?;
    Ok(())
}
