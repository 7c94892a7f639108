//! `edgectl check`: reads overrides documents with the code of mimir-rls, and tells every problem before it is in force.
//!
//! Each file is judged as the first document that a fresh mimir-rls gets. What the limits mean is the `limits` crate's
//! business; this module reads files, counts and words the verdict.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use limits::{LimitsState, SourceDocument, TenantLimits, parse_defaults};

mod verdict;

use verdict::{Outcome, Verdict};

use crate::args::{CheckArgs, Format};
use crate::exit;

/// Checks every file and prints the verdicts.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let verdicts = judge(args);
    let mut out = io::stdout().lock();
    match args.format {
        Format::Text => verdicts.iter().try_for_each(|verdict| verdict.write_text(&mut out)),
        Format::Json => verdict::write_json(&verdicts, &mut out),
    }
    .context("print the verdict")?;
    Ok(exit_code(&verdicts))
}

fn exit_code(verdicts: &[Verdict]) -> ExitCode {
    if verdicts.iter().any(|verdict| matches!(verdict.outcome, Outcome::Unreadable(_))) {
        ExitCode::from(exit::NO_INPUT)
    } else if verdicts.iter().any(Verdict::has_problems) {
        ExitCode::from(exit::PROBLEMS)
    } else {
        ExitCode::SUCCESS
    }
}

/// The verdict on the defaults, if there is something to say about them, and on each file unless the defaults are no good.
fn judge(args: &CheckArgs) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut defaults = TenantLimits::default();
    if let Some(path) = &args.default_limits {
        let (limits, verdict) = judge_defaults(path);
        if limits.is_none() || verdict.has_problems() {
            verdicts.push(verdict);
        }
        match limits {
            Some(limits) => defaults = limits,
            None => return verdicts,
        }
    }
    verdicts.extend(args.files.iter().map(|path| judge_overrides(path, defaults.clone())));
    verdicts
}

fn judge_defaults(path: &Path) -> (Option<TenantLimits>, Verdict) {
    let file = document_name(path);
    let text = match read(path, &file) {
        Ok(text) => text,
        Err(verdict) => return (None, verdict),
    };
    match parse_defaults(&file, &text) {
        Ok((limits, problems)) => (Some(limits), Verdict { file, outcome: Outcome::Defaults, problems }),
        Err(problems) => (None, Verdict { file, outcome: Outcome::DefaultsRejected, problems }),
    }
}

fn judge_overrides(path: &Path, defaults: TenantLimits) -> Verdict {
    let file = document_name(path);
    let text = match read(path, &file) {
        Ok(text) => text,
        Err(verdict) => return verdict,
    };
    // A document without tenants is suspicious only after one that had some, so this never keeps anything.
    let applied = LimitsState::new(defaults, false).apply(&[SourceDocument::new(&file, &text)]);
    let outcome = applied.snapshot.map_or(Outcome::Rejected, |snapshot| Outcome::Accepted { tenants: snapshot.len() });
    Verdict { file, outcome, problems: applied.problems }
}

fn document_name(path: &Path) -> String {
    if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// The text of a file, or the verdict on one that has none.
fn read(path: &Path, file: &str) -> Result<String, Verdict> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| Verdict::unreadable(file, &error))?;
    String::from_utf8(bytes).map_err(|error| Verdict::not_text(file, &error))
}
