//! What became of one checked file, in words and as JSON.

use std::io::{self, Write};
use std::string::FromUtf8Error;

use limits::{Code, Problem, Severity};
use serde::Serialize;

/// What mimir-rls would do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Overrides that come into force, except for what the problems name.
    Accepted { tenants: usize },
    /// Overrides that change nothing.
    Rejected,
    /// Defaults that can be used.
    Defaults,
    /// Defaults that can't.
    DefaultsRejected,
    /// The file can't be read, and why.
    Unreadable(String),
}

/// The verdict on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) file: String,
    pub(super) outcome: Outcome,
    pub(super) problems: Vec<Problem>,
}

impl Verdict {
    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        Self { file: file.to_owned(), outcome: Outcome::Unreadable(error.to_string()), problems: Vec::new() }
    }

    pub(super) fn not_text(file: &str, error: &FromUtf8Error) -> Self {
        let good = error.utf8_error().valid_up_to();
        let lines = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
        let message = format!("byte {good} is not UTF-8 and the document is rejected; save it as UTF-8");
        let line = u64::try_from(lines + 1).ok();
        let problem = Problem { line, ..Problem::of_document(Code::BadCharacters, file, Severity::Rejected, message) };
        Self { file: file.to_owned(), outcome: Outcome::Rejected, problems: vec![problem] }
    }

    /// Whether there is anything for a person to mend.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty() || matches!(self.outcome, Outcome::Rejected | Outcome::DefaultsRejected)
    }

    /// One line for each problem, and the summary.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for problem in &self.problems {
            writeln!(out, "{}", one_line(problem))?;
        }
        writeln!(out, "{}", self.summary())
    }

    fn summary(&self) -> String {
        let Self { file, outcome, problems } = self;
        let problems = counted(problems.len(), "problem");
        match outcome {
            Outcome::Accepted { tenants } => format!("{file}: {}, {problems}", counted(*tenants, "tenant")),
            Outcome::Rejected => {
                format!("{file}: rejected, {problems}; mimir-rls and Mimir keep the document they have")
            }
            Outcome::Defaults => format!("{file}: defaults, {problems}"),
            Outcome::DefaultsRejected => {
                format!("{file}: rejected, {problems}; mimir-rls does not start with these defaults")
            }
            Outcome::Unreadable(error) => format!("{file}: can't be read: {error}"),
        }
    }
}

/// All verdicts as one JSON object and a line end.
pub(super) fn write_json(verdicts: &[Verdict], out: &mut impl Write) -> io::Result<()> {
    let files: Vec<_> = verdicts.iter().map(FileJson::new).collect();
    let problems = verdicts.iter().map(|verdict| verdict.problems.len()).sum();
    serde_json::to_writer_pretty(&mut *out, &RunJson { problems, files })?;
    writeln!(out)
}

#[derive(Serialize)]
struct RunJson<'v> {
    problems: usize,
    files: Vec<FileJson<'v>>,
}

#[derive(Serialize)]
struct FileJson<'v> {
    file: &'v str,
    outcome: &'static str,
    /// Only of accepted overrides.
    tenants: Option<usize>,
    /// Only of a file that can't be read.
    error: Option<&'v str>,
    problems: Vec<ProblemJson<'v>>,
}

#[derive(Serialize)]
struct ProblemJson<'v> {
    line: Option<u64>,
    tenant: Option<&'v str>,
    field: Option<&'v str>,
    severity: &'static str,
    message: &'v str,
}

impl<'v> FileJson<'v> {
    fn new(verdict: &'v Verdict) -> Self {
        let (outcome, tenants, error) = match &verdict.outcome {
            Outcome::Accepted { tenants } => ("accepted", Some(*tenants), None),
            Outcome::Rejected => ("rejected", None, None),
            Outcome::Defaults => ("defaults", None, None),
            Outcome::DefaultsRejected => ("defaults_rejected", None, None),
            Outcome::Unreadable(error) => ("unreadable", None, Some(error.as_str())),
        };
        Self {
            file: &verdict.file,
            outcome,
            tenants,
            error,
            problems: verdict.problems.iter().map(ProblemJson::new).collect(),
        }
    }
}

impl<'v> ProblemJson<'v> {
    fn new(problem: &'v Problem) -> Self {
        Self {
            line: problem.line,
            tenant: problem.tenant.as_deref(),
            field: problem.field.as_deref(),
            severity: problem.severity.as_str(),
            message: &problem.message,
        }
    }
}

/// A parser's message may quote the document; whatever it holds, a problem stays one line.
fn one_line(problem: &Problem) -> String {
    problem.to_string().lines().collect::<Vec<_>>().join(" ")
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Verdict};

    #[track_caller]
    fn summary(outcome: Outcome, expected: &str) {
        let verdict = Verdict { file: "a.yaml".to_owned(), outcome, problems: Vec::new() };
        assert_eq!(verdict.summary(), expected);
    }

    #[test]
    fn summarises_in_words() {
        summary(Outcome::Accepted { tenants: 1 }, "a.yaml: 1 tenant, 0 problems");
        summary(Outcome::Accepted { tenants: 3 }, "a.yaml: 3 tenants, 0 problems");
        summary(Outcome::Rejected, "a.yaml: rejected, 0 problems; mimir-rls and Mimir keep the document they have");
        summary(Outcome::Unreadable("gone".to_owned()), "a.yaml: can't be read: gone");
    }

    #[test]
    fn names_the_line_where_text_ends() {
        let error = String::from_utf8(b"a: 1\nb: \xff\n".to_vec()).unwrap_err();
        let verdict = Verdict::not_text("a.yaml", &error);
        let mut text = Vec::new();
        verdict.write_text(&mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "a.yaml:2: byte 8 is not UTF-8 and the document is rejected; save it as UTF-8\n\
             a.yaml: rejected, 1 problem; mimir-rls and Mimir keep the document they have\n"
        );
    }
}
