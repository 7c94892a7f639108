//! Where the programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
///
/// # Panics
/// When this crate was moved.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is two folders below the root")
}

/// A program of ours, from the folder that this test was built into.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let program = test.ancestors().nth(2).expect("a test is in deps/ of a build folder").join(name);
    assert!(
        program.is_file(),
        "{} is missing: cargo build --bins -p rls -p overrides-sync -p edgectl (make test does it)",
        program.display()
    );
    program
}

/// An installed program: the one that the environment names (`TOOL_ENVOY`), as it does under nextest, or else the one that the installer finds.
///
/// # Panics
/// When it is not installed; the message names the command that installs it.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    if let Some(path) = env::var_os(format!("TOOL_{}", name.to_uppercase().replace('-', "_"))) {
        return PathBuf::from(path);
    }
    let installer = repository().join("tests/tools/install");
    let output = Command::new(installer).args(["--print-path", name]).output().expect("the tool installer runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end())
}
