//! `edgectl completions`: a script for a shell.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::args::{CompletionsArgs, definition};

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "edgectl", &mut script);
    io::stdout().lock().write_all(&script).context("print the script")?;
    Ok(ExitCode::SUCCESS)
}
