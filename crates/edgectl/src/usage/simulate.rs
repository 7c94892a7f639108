//! `edgectl simulate`: which tenants the limits of documents would deny.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::process::ExitCode;

use ::usage::{Interval, Limits, Outcome};
use serde::Serialize;

use super::api::{AllHistories, all_histories, longest};
use crate::args::SimulateArgs;
use crate::check::Documents;
use crate::edge_api::{Answer, EdgeApi, block_on};
use crate::exit;
use crate::output::{self, Table, counted, number};

/// Prints the tenants that would be denied.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let documents = match Documents::read(&args.files, &args.defaults, args.mimir_version.as_ref()).await {
            Ok(documents) => documents,
            Err(code) => return Ok(code),
        };
        let histories = EdgeApi::new(&args.api)?.ask(all_histories).await?;
        let is_complete = histories.silent.is_empty();
        let simulated = Simulated::of(args, &documents, histories.answers);
        output::print(args.api.output, &simulated, || simulated.table(args.all))?;
        Ok(match (simulated.denied, is_complete) {
            (0, true) => ExitCode::SUCCESS,
            // A replica that is silent may decide the tenant that would be denied.
            (0, false) => ExitCode::from(exit::UNAVAILABLE),
            _ => ExitCode::from(exit::PROBLEMS),
        })
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

/// Tenants of which no items are known, so that nothing can be denied for them.
const UNKNOWN: &str =
    "no items are known, as in mode off or where bodies are not decoded, so only the request rate counts, of";

impl Simulated {
    /// Plays the histories of all replicas.
    fn of(args: &SimulateArgs, documents: &Documents, answers: Vec<Answer<AllHistories>>) -> Self {
        let in_use = answers.first().map(|answer| answer.value.distributors);
        let distributors = args.distributors.or(in_use).unwrap_or(NonZeroU32::MIN);
        if answers.iter().any(|answer| answer.value.has_others) {
            exit::note(
                &"tenants without usage of their own, which are in the row <other> of edgectl top, are not played",
            );
        }
        let mut by_tenant: BTreeMap<String, Vec<Answer<Vec<Interval>>>> = BTreeMap::new();
        for Answer { replica, value } in answers {
            for (tenant, history) in value.tenants {
                by_tenant.entry(tenant).or_default().push(Answer { replica: replica.clone(), value: history });
            }
        }
        let mut simulated = Self { tenants: Vec::new(), seen: 0, denied: 0 };
        let mut unknown = Vec::new();
        for (name, histories) in by_tenant {
            let Some(Answer { value: past, .. }) = longest(&name, histories) else { continue };
            let sent = |of: fn(&Interval) -> u32| past.iter().any(|interval| of(interval) > 0);
            if sent(|it| it.total.requests) && !sent(|it| it.total.counted) {
                unknown.push(name.clone());
            }
            let outcome = ::usage::simulate(&past, &Limits::of(documents.of(&name), distributors));
            simulated.add(args.all, Tenant::new(name, documents, &past, &outcome));
        }
        if !unknown.is_empty() {
            exit::note(&format!("{UNKNOWN} {}", unknown.join(", ")));
        }
        simulated
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
    fn new(name: String, documents: &Documents, past: &[Interval], outcome: &Outcome) -> Self {
        Self {
            overridden: documents.overrides.contains_key(&name),
            tenant: name,
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
