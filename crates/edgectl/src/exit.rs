//! The exit codes of every subcommand, and how a failure is told on standard error.

use std::io::{self, Write};
use std::process::ExitCode;

/// There are problems, or no push got an answer.
pub(crate) const PROBLEMS: u8 = 1;
/// A document is refused whole.
pub(crate) const REJECTED: u8 = 2;
/// Bad usage (`EX_USAGE` of sysexits.h).
pub(crate) const USAGE: u8 = 64;
/// A file or a page of Mimir can't be read (`EX_NOINPUT` of sysexits.h).
pub(crate) const NO_INPUT: u8 = 66;

/// Prints clap's answer: help and version are no errors and go to standard output.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A reader that has gone away is told nothing; there is nowhere left to tell it.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Tells why a subcommand could not do its work.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "edgectl: {error:#}");
    ExitCode::from(PROBLEMS)
}
