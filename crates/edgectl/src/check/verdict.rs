//! The verdict on a checked file, as text.

use std::fmt::Display;
use std::io::{self, Write};

use limits::{Problem, TenantLimits};

use super::report;
use crate::{exit, output, yaml};

/// The effect of a file on mimir-rls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Overrides that are applied, except for the problems; with the resulting limits of each key.
    Accepted { tenants: usize, limits: Vec<(String, TenantLimits)> },
    /// Overrides that are rejected.
    Rejected,
    /// Default limits that can be used.
    Defaults,
    /// Default limits that can't be used.
    DefaultsRejected,
    /// A comparison with a running Mimir, with its number of tenants; the problems are the differences.
    Compared { tenants: usize },
    /// The file, or the page of Mimir, can't be read, and why.
    Unreadable(String),
}

/// The verdict on one file, on several that form one configuration, or on a Mimir.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// The file; several with commas, as in `-runtime-config.file`; or an address.
    pub(super) file: String,
    pub(crate) outcome: Outcome,
    pub(crate) problems: Vec<Problem>,
}

impl Verdict {
    pub(crate) fn new(file: String, outcome: Outcome, problems: Vec<Problem>) -> Self {
        Self { file, outcome, problems }
    }

    pub(super) fn unreadable(file: &str, error: &dyn Display) -> Self {
        Self::new(file.to_owned(), Outcome::Unreadable(error.to_string()), Vec::new())
    }

    /// The exit code of a run with this verdict alone; of several the highest holds.
    pub(crate) fn exit_code(&self) -> u8 {
        match &self.outcome {
            Outcome::Unreadable(_) => exit::NO_INPUT,
            Outcome::Rejected | Outcome::DefaultsRejected => exit::REJECTED,
            _ if !self.problems.is_empty() => exit::PROBLEMS,
            _ => 0,
        }
    }

    /// Says what is wrong on standard error, if anything is.
    pub(super) fn report(&self) {
        if self.exit_code() != 0 {
            // If the reader is gone, there is nowhere to report it.
            let _ = self.write_text(false, &mut io::stderr().lock());
        }
    }

    /// The lines of each problem, the summary, and with `show` the limits.
    pub(crate) fn write_text(&self, show: bool, out: &mut impl Write) -> io::Result<()> {
        for problem in &self.problems {
            writeln!(out, "{}", one_line(problem))?;
            if let Some(error) = problem.mimir.as_deref() {
                writeln!(out, "  Mimir: {}", on_one_line(error))?;
            }
        }
        writeln!(out, "{}", self.summary())?;
        match &self.outcome {
            Outcome::Accepted { limits, .. } if show && !limits.is_empty() => {
                out.write_all(yaml::block(&report::limits(limits), 1).as_bytes())
            }
            _ => Ok(()),
        }
    }

    fn summary(&self) -> String {
        let Self { file, outcome, problems } = self;
        let counted_problems = counted(problems.len(), "problem");
        match outcome {
            Outcome::Accepted { tenants, .. } => format!("{file}: {}, {counted_problems}", counted(*tenants, "tenant")),
            Outcome::Rejected => {
                format!("{file}: rejected, {counted_problems}; mimir-rls and Mimir keep the document they have")
            }
            Outcome::Defaults => format!("{file}: defaults, {counted_problems}"),
            Outcome::DefaultsRejected => {
                format!("{file}: rejected, {counted_problems}; mimir-rls does not start with these defaults")
            }
            Outcome::Compared { tenants } => {
                format!("{file}: {}, {}", counted(*tenants, "tenant"), counted(problems.len(), "difference"))
            }
            Outcome::Unreadable(error) => format!("{file}: can't be read: {}", on_one_line(error)),
        }
    }
}

/// `FILE:LINE: CODE KIND: tenant TENANT: MESSAGE`.
pub(crate) fn one_line(problem: &Problem) -> String {
    let Problem { code, document, tenant, line, message, .. } = problem;
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    let tenant = match tenant.as_deref() {
        None => String::new(),
        Some("") => "tenant \"\": ".to_owned(),
        Some(tenant) => format!("tenant {tenant}: "),
    };
    on_one_line(&format!("{document}{line}: {} {}: {tenant}{message}", code.id(), code.name()))
}

/// A message may quote the document, and still stays on one line.
fn on_one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn counted(count: usize, noun: &str) -> String {
    output::counted(count as u64, noun)
}

#[cfg(test)]
mod tests {
    use limits::{Code, Severity};

    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, problems: usize, summary: &str, code: u8) {
        let problem = Problem::of_document(Code::Other, "a.yaml", Severity::Ignored, "is odd");
        let verdict = Verdict::new("a.yaml".to_owned(), outcome, vec![problem; problems]);
        assert_eq!(verdict.summary(), summary);
        assert_eq!(verdict.exit_code(), code);
    }

    #[test]
    fn summarises_in_words() {
        let accepted = |tenants| Outcome::Accepted { tenants, limits: Vec::new() };
        check(accepted(1), 0, "a.yaml: 1 tenant, 0 problems", 0);
        check(accepted(3), 1, "a.yaml: 3 tenants, 1 problem", 1);
        let rejected = "a.yaml: rejected, 1 problem; mimir-rls and Mimir keep the document they have";
        check(Outcome::Rejected, 1, rejected, 2);
        check(Outcome::Compared { tenants: 2 }, 0, "a.yaml: 2 tenants, 0 differences", 0);
        check(Outcome::Compared { tenants: 2 }, 1, "a.yaml: 2 tenants, 1 difference", 1);
        check(Outcome::Unreadable("gone".to_owned()), 0, "a.yaml: can't be read: gone", 66);
    }

    #[test]
    fn a_problem_is_one_line_with_its_code() {
        let problem = Problem {
            line: Some(12),
            tenant: Some("team-a".to_owned()),
            ..Problem::of_document(Code::UnknownField, "a.yaml", Severity::Ignored, "field x is\nunknown")
        };
        assert_eq!(one_line(&problem), "a.yaml:12: MRC0020 unknown-field: tenant team-a: field x is unknown");
    }
}
