//! `edgectl diagnose`: the hops of a push, and the first broken one with the command that mends it.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::args::DiagnoseArgs;
use crate::edge_api::block_on;
use crate::installation::{Finding, Hop, Known, Status, look, symbols};
use crate::{exit, output};

/// Prints the hops.
pub(crate) fn run(args: &DiagnoseArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let findings = look(&args.installation, &Known::default()).await.context("diagnose the installation")?;
        let diagnosis = Diagnosis::new(findings);
        output::print(args.installation.api.output, &diagnosis, || diagnosis.text(symbols::from_environment()))?;
        let is_broken = diagnosis.first.as_ref().is_some_and(|first| first.status == Status::Failure);
        Ok(ExitCode::from(if is_broken { exit::PROBLEMS } else { 0 }))
    })
}

/// What is wrong, and where.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// The name of the first hop that is broken.
    broken: Option<Hop>,
    /// Why: its first failure, or else the first warning of any hop.
    #[serde(rename = "cause")]
    first: Option<Finding>,
    hops: Vec<HopState>,
}

#[derive(Debug, Serialize)]
struct HopState {
    hop: Hop,
    status: Status,
    checks: Vec<Finding>,
}

impl HopState {
    fn new(hop: Hop, all: &[Finding]) -> Self {
        let checks: Vec<_> = all.iter().filter(|finding| finding.hop == hop).cloned().collect();
        let known = checks.iter().map(|finding| finding.status).filter(|status| *status != Status::Skipped).max();
        Self { hop, status: known.unwrap_or(Status::Skipped), checks }
    }

    /// The most important thing about it.
    fn says(&self) -> String {
        let worst = self.checks.iter().find(|finding| finding.status == self.status);
        let count = |status: Status| self.checks.iter().filter(|finding| finding.status == status).count();
        match (self.status, worst) {
            (Status::Ok, _) => {
                let skipped = match count(Status::Skipped) {
                    0 => String::new(),
                    skipped => format!(", {skipped} skipped"),
                };
                format!("{} of {} checks are well{skipped}", count(Status::Ok), self.checks.len())
            }
            (Status::Skipped, Some(finding)) => format!("skipped: {}", finding.detail),
            (_, Some(finding)) => finding.detail.lines().next().unwrap_or(finding.check).to_owned(),
            (_, None) => String::new(),
        }
    }
}

impl Diagnosis {
    fn new(findings: Vec<Finding>) -> Self {
        let first = |status: Status| findings.iter().find(|finding| finding.status == status).cloned();
        let failure = first(Status::Failure);
        let broken = failure.as_ref().map(|finding| finding.hop);
        let hops = Hop::OF_A_PUSH.map(|hop| HopState::new(hop, &findings)).into();
        Self { broken, first: failure.or_else(|| first(Status::Warning)), hops }
    }

    fn text(&self, symbols: symbols::Symbols) -> String {
        let width = self.hops.iter().map(|state| state.hop.name().len()).max().unwrap_or_default();
        let line = |state: &HopState| {
            format!(
                "{} {:width$}  {}\n",
                symbols.padded(state.status),
                state.hop.name(),
                output::on_one_line(&state.says())
            )
        };
        let lines: Vec<_> = self.hops.iter().map(line).collect();
        format!("client\n{0}\n{1}{2}", symbols.arrow(), lines.join(&format!("{}\n", symbols.arrow())), self.verdict())
    }

    fn verdict(&self) -> String {
        let Some(first) = &self.first else { return self.all_well() };
        let title = match self.broken {
            Some(hop) => format!("\nBroken: {}\n", hop.name()),
            None => format!("\nNo hop is broken. A warning about {}:\n", first.hop.name()),
        };
        let mut text = title + &fact("check", first.check) + &fact("why", &first.detail);
        if let Some(advice) = &first.advice {
            let mend = advice
                .command
                .as_ref()
                .map_or_else(|| advice.hint.clone(), |command| format!("{}\n{command}", advice.hint));
            text += &(fact("mend", &mend) + &fact("see", advice.see.page()));
        }
        text
    }

    fn all_well(&self) -> String {
        let skipped = self.hops.iter().filter(|state| state.status == Status::Skipped).count();
        match skipped {
            0 => "\nNo hop is broken.\n".to_owned(),
            skipped => format!("\nNo hop that was checked is broken; {skipped} were skipped.\n"),
        }
    }
}

/// A name, and the lines of a text beside it.
fn fact(name: &str, text: &str) -> String {
    let line = |(number, line): (usize, &str)| {
        format!("  {:5}  {}\n", if number == 0 { name } else { "" }, output::on_one_line(line))
    };
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_names_the_broken_hop() {
        let ok = |hop| Finding::ok(hop, "it answers", "");
        let skipped = |hop| Finding::skipped(hop, "it answers", "give a flag");
        let all = Diagnosis::new(Hop::OF_A_PUSH.map(ok).into());
        assert_eq!((all.broken, all.verdict().as_str()), (None, "\nNo hop is broken.\n"));
        let none = Diagnosis::new(Hop::OF_A_PUSH.map(skipped).into());
        assert_eq!(none.verdict(), "\nNo hop that was checked is broken; 6 were skipped.\n");
        assert_eq!(none.hops.first().map(HopState::says), Some("skipped: give a flag".to_owned()));
    }
}
