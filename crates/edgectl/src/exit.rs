//! The exit codes of all subcommands, and the error output.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::edge_api::EdgeError;

/// There are problems, a push would be denied, or no push got an answer.
pub(crate) const PROBLEMS: u8 = 1;
/// A document is rejected.
pub(crate) const REJECTED: u8 = 2;
/// Bad usage (`EX_USAGE` of sysexits.h).
pub(crate) const USAGE: u8 = 64;
/// A file or a page of Mimir can't be read (`EX_NOINPUT` of sysexits.h).
pub(crate) const NO_INPUT: u8 = 66;
/// No replica of mimir-rls answers (`EX_UNAVAILABLE` of sysexits.h).
pub(crate) const UNAVAILABLE: u8 = 69;
/// Ended by Ctrl-C, as shells give it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Prints clap's output: help and version are no errors and go to standard output.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // If the reader is gone, there is nowhere to report it.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Prints why a subcommand failed.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "edgectl: {error:#}");
    ExitCode::from(error.downcast_ref::<EdgeError>().map_or(PROBLEMS, EdgeError::exit_code))
}

/// Says something that is no result, and does not end the subcommand.
pub(crate) fn note(text: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "edgectl: {text}");
}
