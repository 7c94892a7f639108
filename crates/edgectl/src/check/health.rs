//! `edgectl check` without a file: the health of an installation, in groups.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Outcome, Verdict, defaults};
use crate::args::CheckArgs;
use crate::edge_api::block_on;
use crate::installation::{Finding, Known, Status, look, look_before, symbols};
use crate::output::counted;
use crate::{exit, output};

/// The pause between two checks.
const PAUSE: Duration = Duration::from_secs(2);

/// Prints the findings.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let known = match known(args).await {
            Ok(known) => known,
            Err(verdict) => {
                verdict.report();
                return Ok(verdict.exit_code().into());
            }
        };
        let health = until_well(args, &known).await?;
        output::print(args.output(), &health, || health.text(symbols::from_environment()))?;
        Ok(ExitCode::from(if health.status == Status::Failure { exit::PROBLEMS } else { 0 }))
    })
}

/// What flags say of Mimir.
async fn known(args: &CheckArgs) -> Result<Known, Verdict> {
    let version = args.mimir_version.clone();
    if !args.defaults.are_given() {
        return Ok(Known { defaults: None, version });
    }
    match defaults(&args.defaults, &version.clone().unwrap_or_default(), None).await {
        (Some(defaults), _) => Ok(Known { defaults: Some(defaults), version }),
        (None, Some(verdict)) => Err(verdict),
        (None, None) => Err(Verdict::new("default limits".to_owned(), Outcome::DefaultsRejected, Vec::new())),
    }
}

/// Checks until nothing fails, or the time of the flag is over.
async fn until_well(args: &CheckArgs, known: &Known) -> anyhow::Result<Health> {
    let end = Instant::now() + args.wait.unwrap_or_default();
    let mut last = None;
    loop {
        let findings = match args.pre {
            true => look_before(&args.installation, known).await,
            false => look(&args.installation, known).await,
        };
        let health = Health::new(findings.context("check the installation")?);
        if health.status != Status::Failure || Instant::now() + PAUSE > end {
            return Ok(health);
        }
        // Said once, until something else fails.
        let failure = health.checks.iter().find(|finding| finding.status == Status::Failure);
        let failure = failure.map(|finding| {
            format!("waiting: {}: {}: {}", finding.hop.name(), finding.check, first_line(&finding.detail))
        });
        if failure != last {
            failure.iter().for_each(|failure| exit::note(failure));
            last = failure;
        }
        sleep(PAUSE).await;
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// All findings, in the order of their hops.
#[derive(Debug, Serialize)]
struct Health {
    status: Status,
    checks: Vec<Finding>,
}

impl Health {
    fn new(checks: Vec<Finding>) -> Self {
        let bad = checks.iter().map(|finding| finding.status).filter(|status| *status > Status::Skipped).max();
        Self { status: bad.unwrap_or(Status::Ok), checks }
    }

    fn text(&self, symbols: symbols::Symbols) -> String {
        let mut text = String::new();
        for group in self.checks.chunk_by(|one, other| one.hop == other.hop) {
            let title = group.first().map_or("", |finding| finding.hop.name());
            let break_before = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{break_before}{title}\n{}\n", "-".repeat(title.len())));
            group.iter().for_each(|finding| text.push_str(&symbols.lines(finding)));
        }
        text + "\n" + &self.summary(symbols) + "\n"
    }

    fn summary(&self, symbols: symbols::Symbols) -> String {
        let count = |status: Status| self.checks.iter().filter(|finding| finding.status == status).count() as u64;
        let counts = format!(
            "{}, {}, {} skipped",
            counted(count(Status::Failure), "failure"),
            counted(count(Status::Warning), "warning"),
            count(Status::Skipped)
        );
        format!("The result is {}: {counts}", symbols.of(self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::Hop;

    #[test]
    fn skipped_checks_make_nothing_worse() {
        let ok = || Finding::ok(Hop::Envoy, "it answers", "");
        let skipped = || Finding::skipped(Hop::Mimir, "it answers", "give --mimir URL");
        assert_eq!(Health::new(vec![ok(), skipped()]).status, Status::Ok);
        assert_eq!(
            Health::new(vec![skipped()]).summary(symbols::ASCII),
            "The result is ok: 0 failures, 0 warnings, 1 skipped"
        );
    }
}
