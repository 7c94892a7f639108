//! `edgectl top`: the tenants that send most.

use std::cmp::Ordering;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde::Serialize;

use super::api::{OTHER, Row, rows};
use crate::args::{Sort, TopArgs};
use crate::edge_api::{Answer, Bucket, EdgeApi, block_on};
use crate::output::{self, Table, number};

/// Clears a terminal, and moves to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Prints the rows, again and again if the flag says so.
pub(crate) fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let edge = EdgeApi::new(&args.api)?;
        print(args, &edge).await?;
        if let Some(every) = args.watch {
            let mut ticks = tokio::time::interval(every);
            ticks.tick().await;
            let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
            loop {
                tokio::select! {
                    stopped = &mut stop => break stopped?,
                    _ = ticks.tick() => print(args, &edge).await?,
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The rows of all replicas in the order of the flag.
#[derive(Serialize)]
struct Top {
    tenants: Vec<Answer<Row>>,
}

async fn print(args: &TopArgs, edge: &EdgeApi) -> anyhow::Result<()> {
    let answers = rows(edge).await?.answers;
    let of_replicas = answers.into_iter().flat_map(|Answer { replica, value }| {
        value.tenants.into_iter().map(move |row| Answer { replica: replica.clone(), value: row })
    });
    let mut tenants: Vec<_> =
        of_replicas.filter(|row| row.value.minute.requests > 0 || row.value.tenant != OTHER).collect();
    tenants.sort_by(|one, other| order(args.sort, &one.value, &other.value));
    tenants.truncate(args.limit);
    let top = Top { tenants };
    let clears = args.watch.is_some() && io::stdout().is_terminal();
    output::print(args.api.output, &top, || format!("{}{}", if clears { CLEAR } else { "" }, top.table()))
}

fn order(sort: Sort, one: &Row, other: &Row) -> Ordering {
    let key = |row: &Row| match sort {
        Sort::Items => row.minute.items_per_second,
        Sort::Pushes => row.minute.requests_per_second,
        Sort::Used => row.used().unwrap_or_default(),
        Sort::Denied => f64::from(row.minute.denied),
    };
    key(other).total_cmp(&key(one)).then_with(|| one.tenant.cmp(&other.tenant))
}

impl Top {
    fn table(&self) -> String {
        let titles = [
            "TENANT", "MODE", "ITEMS/S", "PEAK/S", "PUSHES/S", "USED", "FILL", "DENIED/S", "REFUSED", "RETRIES",
            "REPLICA",
        ];
        let mut table = Table::new(&titles);
        for Answer { replica, value: row } in &self.tenants {
            let percent =
                |part: Option<f64>| part.map_or_else(String::new, |part| format!("{} %", number(part * 100.0)));
            table.row([
                row.tenant.clone(),
                row.mode.clone(),
                number(row.minute.items_per_second),
                row.minute.peak_items.to_string(),
                number(row.minute.requests_per_second),
                percent(row.used()),
                percent(row.ingestion.as_ref().and_then(Bucket::fill)),
                number(f64::from(row.minute.denied) / f64::from(row.minute.seconds.max(1))),
                row.refused_in_a_row.to_string(),
                if row.never_retries { "never".to_owned() } else { String::new() },
                replica.clone(),
            ]);
        }
        table.text()
    }
}
