//! A program that runs to its end, and what it printed.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// The end of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Runs a program with this on its standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", command.get_program().display()));
        let mut stdin = child.stdin.take().expect("the input is a pipe");
        let output = thread::scope(|scope| {
            // A program that ends without reading its input breaks the pipe: it says itself what was wrong.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            child.wait_with_output().expect("a child can be waited for")
        });
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> String {
        let Self { status, stdout, stderr } = self;
        assert_eq!(status, Some(0), "it failed: {stdout}{stderr}");
        stdout
    }
}
