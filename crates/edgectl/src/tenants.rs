//! `edgectl tenants`: the tenants that the replicas know, or one of them with its buckets.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::args::TenantsArgs;
use crate::edge_api::{
    Answer, Answers, ApiError, EdgeApi, Fields, Replica, TenantDetails, TenantRow, TenantsPage, block_on, encoded,
};
use crate::output::{NONE, Table, counted};
use crate::{buckets, exit, output};

/// Prints the list, or the tenant.
pub(crate) fn run(args: &TenantsArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let edge = EdgeApi::new(&args.api)?;
        match &args.tenant {
            None => {
                let listed = Listed::merge(edge.ask(all_pages).await?);
                if let Some(tenant) = &listed.differing {
                    exit::note(&format!(
                        "the replicas have different limits or modes, for example of {tenant}: compare rls_limits_stale_seconds"
                    ));
                }
                output::print(args.api.output, &listed, || listed.table())?;
            }
            Some(tenant) => {
                let answers = edge.get(&format!("/api/v1/tenants/{}", encoded(tenant))).await?;
                let (details, note) = answers.deciding().context("no replica answers")?;
                note.iter().for_each(|note| exit::note(note));
                output::print(args.api.output, &details, || text(&details))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// All tenants of one replica.
pub(crate) struct AllTenants {
    pub(crate) tenants: Vec<TenantRow>,
    pub(crate) default_limits: Option<Fields>,
}

/// Asks one replica for all pages of its tenants.
///
/// # Errors
/// It does not answer.
pub(crate) async fn all_pages(replica: &Replica) -> Result<AllTenants, ApiError> {
    let mut page: TenantsPage = replica.get("/api/v1/tenants?limit=1000").await?;
    let mut all = AllTenants { tenants: page.tenants, default_limits: page.default_limits };
    let mut last: Option<String> = None;
    while let Some(next) = page.next {
        if last.as_ref().is_some_and(|last| next <= *last) {
            return Err(ApiError::Content(format!("the page after {next} is not the next one")));
        }
        page = replica.get(&format!("/api/v1/tenants?limit=1000&after={}", encoded(&next))).await?;
        all.tenants.append(&mut page.tenants);
        last = Some(next);
    }
    Ok(all)
}

/// The tenants of all replicas.
#[derive(Serialize)]
struct Listed {
    tenants: Vec<ListedTenant>,
    default_limits: Option<Fields>,
    /// A tenant that two replicas treat differently.
    #[serde(skip)]
    differing: Option<String>,
}

#[derive(Serialize)]
struct ListedTenant {
    tenant: String,
    mode: String,
    overridden: bool,
    /// Those that have its buckets.
    replicas: Vec<String>,
    /// Those that differ from the defaults.
    limits: Fields,
}

impl Listed {
    fn merge(answers: Answers<AllTenants>) -> Self {
        let mut by_name: BTreeMap<String, ListedTenant> = BTreeMap::new();
        let (mut default_limits, mut differing) = (None, None);
        for Answer { replica, value: all } in answers.answers {
            default_limits = default_limits.or(all.default_limits);
            for TenantRow { tenant, mode, overridden, has_buckets, limits } in all.tenants {
                let listed = by_name.entry(tenant.clone()).or_insert_with(|| ListedTenant {
                    tenant,
                    mode: mode.clone(),
                    overridden,
                    replicas: Vec::new(),
                    limits: limits.clone(),
                });
                if (&listed.mode, listed.overridden, &listed.limits) != (&mode, overridden, &limits) {
                    differing.get_or_insert_with(|| listed.tenant.clone());
                }
                if has_buckets {
                    listed.replicas.push(replica.clone());
                }
            }
        }
        Self { tenants: by_name.into_values().collect(), default_limits, differing }
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["TENANT", "MODE", "RATE", "BURST", "REQUEST RATE", "OVERRIDDEN", "REPLICA"]);
        for tenant in &self.tenants {
            let limit = |field: &str| {
                let value = tenant.limits.get(field).or_else(|| self.default_limits.as_ref()?.get(field));
                value.map_or_else(String::new, |value| shown(field, value))
            };
            let name = if tenant.tenant.is_empty() { "\"\"" } else { &tenant.tenant };
            table.row([
                name.to_owned(),
                tenant.mode.clone(),
                limit("ingestion_rate"),
                limit("ingestion_burst_size"),
                limit("request_rate"),
                yes_or_no(tenant.overridden),
                tenant.replicas.join(","),
            ]);
        }
        format!("{}{}\n", table.text(), counted(self.tenants.len() as u64, "tenant"))
    }
}

/// A limit. Without a request rate Mimir has no limit on requests.
fn shown(field: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        value if field == "request_rate" && value.as_f64().is_some_and(|rate| rate <= 0.0) => NONE.to_owned(),
        value => value.to_string(),
    }
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// A tenant in detail: what it is, its buckets, its limits.
fn text(details: &Answer<TenantDetails>) -> String {
    let Answer { replica, value } = details;
    let mut facts = Table::untitled();
    let mut fact = |name: &str, text: String| facts.row([name.to_owned(), text]);
    fact("tenant", value.tenant.clone());
    if value.limits_key != value.tenant {
        fact("limits of", value.limits_key.clone());
    }
    fact("mode", value.mode.clone());
    fact("overridden", yes_or_no(value.overridden));
    fact("replica", buckets::where_from(replica, value.has_buckets));
    let mut limits = Table::new(&["LIMIT", "VALUE"]);
    let of_edge = value.edge_limits.iter().filter(|(_, value)| !value.is_null());
    for (name, value) in value.limits.iter().flatten().chain(of_edge) {
        limits.row([name.clone(), shown("", value)]);
    }
    let buckets = buckets::table(value.request.as_ref(), value.ingestion.as_ref());
    [facts.text(), buckets, limits.text()].join("\n")
}
