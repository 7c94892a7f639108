//! `edgectl rollout status`: whether the conditions of a phase are met, by the numbers of the runbook.
//!
//! `conditions` has the tables of the runbook, `prometheus` asks, `verdict` judges. A test compares the tables with ops/runbooks/rollout.md.

use std::process::ExitCode;

use serde::Serialize;

mod conditions;
mod prometheus;
mod verdict;

use conditions::{Check, checks, in_the_log};
use prometheus::Prometheus;
use verdict::{Judged, Verdict};

use crate::args::{Phase, RolloutStatusArgs};
use crate::edge_api::block_on;
use crate::load::written;
use crate::output::Table;
use crate::{exit, output};

/// Where the phases are explained.
const RUNBOOK: &str = "ops/runbooks/rollout.md";

/// Prints the state of the phase.
pub(crate) fn status(args: &RolloutStatusArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let prometheus = Prometheus::new(args)?;
        let mut judged = Vec::new();
        for check in checks(args.phase) {
            judged.push(judge(check, &prometheus, args).await?);
        }
        let status = Status::new(args, judged);
        output::print(args.output, &status, || status.text())?;
        Ok(ExitCode::from(if status.go_on { 0 } else { exit::PROBLEMS }))
    })
}

async fn judge(check: &'static Check, prometheus: &Prometheus, args: &RolloutStatusArgs) -> anyhow::Result<Judged> {
    let mut found = Vec::new();
    for query in check.queries {
        found.push(prometheus.range(query, args.time).await?);
    }
    Ok(Judged::new(check, found, args.time))
}

/// The result of the subcommand.
#[derive(Debug, Serialize)]
struct Status {
    phase: &'static str,
    prometheus: String,
    for_seconds: f64,
    go_on: bool,
    checks: Vec<Judged>,
    /// What the runbook reads elsewhere.
    in_the_log: &'static [&'static str],
    #[serde(skip)]
    next: &'static str,
}

impl Status {
    fn new(args: &RolloutStatusArgs, checks: Vec<Judged>) -> Self {
        Self {
            phase: args.phase.as_str(),
            prometheus: args.prometheus.to_string(),
            for_seconds: args.time.as_secs_f64(),
            go_on: checks.iter().all(|check| check.verdict != Verdict::NotMet),
            checks,
            in_the_log: in_the_log(args.phase),
            next: match args.phase {
                Phase::Mirror => "#phase-2-canary",
                Phase::Canary => "#phase-3-full, or the next share",
                Phase::Full => "#afterwards",
            },
        }
    }

    fn text(&self) -> String {
        let mut table = Table::new(&[" ", "CHECK", "VALUE", "CONTINUE IF"]);
        for judged in &self.checks {
            table.row([
                judged.verdict.mark().to_string(),
                judged.check.to_owned(),
                judged.value.clone(),
                judged.condition.to_owned(),
            ]);
        }
        let log = self.in_the_log.iter().map(|check| format!("look in the log of the proxy too: {check}\n"));
        let log: String = log.collect();
        let time = written(std::time::Duration::from_secs_f64(self.for_seconds));
        let head = format!("phase {}, the last {time} of {}\n\n{}\n{log}", self.phase, self.prometheus, table.text());
        if self.go_on {
            return format!("{head}go on: {RUNBOOK}{}\n", self.next);
        }
        let reasons =
            self.checks.iter().filter_map(|judged| Some(format!("  {}: {}\n", judged.check, judged.why.as_ref()?)));
        format!("{head}do not go on:\n{}", reasons.collect::<String>())
    }
}
