//! `edgectl simulate`: which tenants the limits of documents would deny.

use std::collections::BTreeSet;
use std::process::ExitCode;

use ::usage::{Limits, Outcome};
use serde::Serialize;

use super::api::{OTHER, histories, longest, rows};
use crate::args::SimulateArgs;
use crate::check::Documents;
use crate::edge_api::{EdgeApi, block_on};
use crate::exit;
use crate::output::{self, Table, counted, number};

/// Prints the tenants that would be denied.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let documents = match Documents::read(&args.files, &args.defaults, args.mimir_version.as_ref()).await {
            Ok(documents) => documents,
            Err(code) => return Ok(code),
        };
        let edge = EdgeApi::new(&args.api)?;
        let simulated = Simulated::of(args, &edge, &documents).await?;
        output::print(args.api.output, &simulated, || simulated.table(args.all))?;
        Ok(if simulated.denied > 0 { ExitCode::from(exit::PROBLEMS) } else { ExitCode::SUCCESS })
    })
}

/// What the limits make of the past of all tenants.
#[derive(Serialize)]
struct Simulated {
    /// By their names; only those that are denied, unless the flag asks for all.
    tenants: Vec<Tenant>,
    /// How many tenants have usage.
    seen: usize,
    /// How many of them are denied.
    denied: usize,
}

#[derive(Serialize)]
struct Tenant {
    tenant: String,
    /// Whether the documents have an entry for it.
    overridden: bool,
    /// How long it was seen.
    seconds: u64,
    pushes: u64,
    /// Pushes that were denied, or would have been in mode shadow.
    denied_before: u64,
    denied: u64,
    denied_items: u64,
    over_request_rate: u64,
    over_ingestion_rate: u64,
    over_ingestion_burst: u64,
    first_denial_seconds_ago: Option<u64>,
}

impl Simulated {
    async fn of(args: &SimulateArgs, edge: &EdgeApi, documents: &Documents) -> anyhow::Result<Self> {
        let lists = rows(edge).await?.answers;
        let names: BTreeSet<&str> =
            lists.iter().flat_map(|list| &list.value.tenants).map(|row| row.tenant.as_str()).collect();
        let in_use = lists.first().map(|list| list.value.distributors);
        let distributors = args.distributors.or(in_use).unwrap_or(std::num::NonZeroU32::MIN);
        let mut simulated = Self { tenants: Vec::new(), seen: 0, denied: 0 };
        // `<other>` is several tenants, whose limits say nothing about their sum.
        for name in names.into_iter().filter(|name| *name != OTHER) {
            let Some(past) = longest(name, histories(edge, name).await?) else { continue };
            let outcome = ::usage::simulate(&past.value, &Limits::of(documents.of(name), distributors));
            simulated.add(args.all, Tenant::new(name, documents, &past.value, &outcome));
        }
        Ok(simulated)
    }

    fn add(&mut self, all: bool, tenant: Tenant) {
        self.seen += 1;
        self.denied += usize::from(tenant.denied > 0);
        if all || tenant.denied > 0 {
            self.tenants.push(tenant);
        }
    }

    fn table(&self, all: bool) -> String {
        let summary =
            format!("{} of {} with usage would be denied\n", self.denied, counted(self.seen as u64, "tenant"));
        if self.tenants.is_empty() {
            return summary;
        }
        let titles =
            ["TENANT", "OVERRIDDEN", "SEEN", "PUSHES", "DENIED BEFORE", "DENIED", "SHARE", "DENIED ITEMS", "BY"];
        let mut table = Table::new(&titles);
        for tenant in self.tenants.iter().filter(|tenant| all || tenant.denied > 0) {
            let share = 100.0 * tenant.denied as f64 / (tenant.pushes.max(1)) as f64;
            table.row([
                tenant.tenant.clone(),
                if tenant.overridden { "yes" } else { "no" }.to_owned(),
                format!("{} s", tenant.seconds),
                tenant.pushes.to_string(),
                tenant.denied_before.to_string(),
                tenant.denied.to_string(),
                format!("{} %", number(share)),
                tenant.denied_items.to_string(),
                tenant.by(),
            ]);
        }
        table.text() + &summary
    }
}

impl Tenant {
    fn new(name: &str, documents: &Documents, past: &[::usage::Interval], outcome: &Outcome) -> Self {
        Self {
            tenant: name.to_owned(),
            overridden: documents.overrides.contains_key(name),
            seconds: past.iter().map(|interval| u64::from(interval.seconds)).sum(),
            pushes: outcome.requests,
            denied_before: past.iter().map(|interval| u64::from(interval.total.denied)).sum(),
            denied: outcome.denied(),
            denied_items: outcome.denied_items,
            over_request_rate: outcome.over_request_rate,
            over_ingestion_rate: outcome.over_ingestion_rate,
            over_ingestion_burst: outcome.over_ingestion_burst,
            first_denial_seconds_ago: outcome.first_denial_seconds_ago,
        }
    }

    /// The limits that deny it.
    fn by(&self) -> String {
        let limits = [
            ("request_rate", self.over_request_rate),
            ("ingestion_rate", self.over_ingestion_rate),
            ("ingestion_burst_size", self.over_ingestion_burst),
        ];
        limits.into_iter().filter(|(_, denied)| *denied > 0).map(|(limit, _)| limit).collect::<Vec<_>>().join(",")
    }
}
