//! Which rows `GET /api/v1/usage` returns, and in which order: with 10,000 tenants a client reads one page of them.

use std::cmp::Ordering;
use std::collections::HashMap;

use edge::{BucketView, ControlState, UsageRow};
use limits::{Mode, Rate, Tenant};
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::view::tokens_left;

/// What a client asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    pub(super) limit: Option<usize>,
    /// How many rows to skip.
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    sort: Sort,
    order: Option<Order>,
    /// A part of the tenant's name, in any case.
    #[serde(default)]
    search: String,
    /// Also tenants without usage of their own that have an override, an entry in the edge config, or a bucket.
    #[serde(default)]
    all: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// Items in the last minute.
    #[default]
    Items,
    /// Pushes in the last minute.
    Requests,
    /// The part of the pushes that was denied, in the last 15 minutes.
    Denied,
    /// The part of the nearest limit that was used.
    Used,
    /// The part of the tokens that is left in the emptier bucket.
    Tokens,
    /// The ingestion rate.
    Limit,
    Mode,
    Tenant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Asc,
    Desc,
}

/// A row to be shown; no usage where the tenant has none of its own.
pub(super) struct Selected {
    pub(super) tenant: String,
    pub(super) usage: Option<UsageRow>,
}

/// A page of the rows that match.
pub(super) struct Selection {
    pub(super) page: Vec<Selected>,
    /// All that match.
    pub(super) matching: usize,
    /// All that there are.
    pub(super) tenants: usize,
}

struct Ranked<'r> {
    key: Option<f64>,
    items: u32,
    tenant: &'r str,
    usage: Option<&'r UsageRow>,
}

/// Selects up to `rows` tenants of those with `usage` and, where the client asks for all, of all that are known.
pub(super) fn select(
    admin: &Admin,
    control: &ControlState,
    usage: &[UsageRow],
    query: &ListQuery,
    rows: usize,
) -> Selection {
    let with_bucket = query.all.then(|| admin.names.get(|| admin.pipeline.enforcer().names()));
    let mut known: HashMap<&str, Option<&UsageRow>> = HashMap::new();
    if let Some(with_bucket) = &with_bucket {
        let overridden = control.limits.iter().flat_map(|limits| limits.tenants()).map(|(key, _)| key.as_str());
        let in_edge_config = control.edge.tenants().map(|(id, _)| id.as_str());
        let names = overridden.chain(in_edge_config).chain(with_bucket.iter().map(AsRef::as_ref));
        known.extend(names.map(|name| (name, None)));
    }
    known.extend(usage.iter().map(|row| (row.tenant.as_str(), Some(row))));
    let tenants = known.len();
    if !query.search.is_empty() {
        let part = query.search.to_lowercase();
        known.retain(|name, _| name.to_lowercase().contains(&part));
    }
    let matching = known.len();
    let ranked = known.into_iter().map(|(tenant, usage)| Ranked {
        key: query.sort.key(admin, control, tenant, usage),
        items: usage.map_or(0, |usage| usage.minute.total.items),
        tenant,
        usage,
    });
    let mut ranked: Vec<_> = ranked.collect();
    let order = query.order.unwrap_or(query.sort.usual_order());
    ranked.sort_unstable_by(|left, right| compare(query.sort, order, left, right));
    let page = ranked.into_iter().skip(query.offset).take(rows);
    let page = page.map(|row| Selected { tenant: row.tenant.to_owned(), usage: row.usage.cloned() });
    Selection { page: page.collect(), matching, tenants }
}

/// Rows without a value come last in both orders. Among equal ones, those that send most come first.
fn compare(sort: Sort, order: Order, left: &Ranked<'_>, right: &Ranked<'_>) -> Ordering {
    let ordered = |ordering: Ordering| if order == Order::Desc { ordering.reverse() } else { ordering };
    let by_key = match (left.key, right.key) {
        (Some(left), Some(right)) => ordered(left.total_cmp(&right)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let by_name = left.tenant.cmp(right.tenant);
    match sort {
        Sort::Tenant => ordered(by_name),
        _ => by_key.then(right.items.cmp(&left.items)).then(by_name),
    }
}

impl Sort {
    fn usual_order(self) -> Order {
        match self {
            Self::Tokens | Self::Mode | Self::Tenant => Order::Asc,
            Self::Items | Self::Requests | Self::Denied | Self::Used | Self::Limit => Order::Desc,
        }
    }

    fn key(self, admin: &Admin, control: &ControlState, tenant: &str, usage: Option<&UsageRow>) -> Option<f64> {
        match self {
            Self::Items => Some(usage?.minute.total.items.into()),
            Self::Requests => Some(usage?.minute.total.requests.into()),
            Self::Denied => usage.map(denied_part),
            Self::Used => admin.pipeline.usage_ratios(usage?).map(|(_, ratio)| ratio).reduce(f64::max),
            Self::Tokens => {
                let (request, ingestion) = buckets(admin, control, tenant)?;
                [request, ingestion].iter().filter_map(tokens_left).reduce(f64::min)
            }
            Self::Limit => match buckets(admin, control, tenant)?.1.level.limit().rate {
                Rate::PerSecond(rate) => Some(rate),
                Rate::Unlimited => Some(f64::INFINITY),
            },
            Self::Mode => Some(mode_rank(control, tenant)),
            Self::Tenant => None,
        }
    }
}

fn denied_part(usage: &UsageRow) -> f64 {
    let recent = &usage.quarter_hour.total;
    f64::from(recent.denied) / f64::from(recent.requests.max(1))
}

fn buckets(admin: &Admin, control: &ControlState, tenant: &str) -> Option<(BucketView, BucketView)> {
    admin.pipeline.buckets(control, &Tenant::parse(Some(tenant.as_bytes())).ok()?, 1)
}

fn mode_rank(control: &ControlState, tenant: &str) -> f64 {
    let tenant = Tenant::parse(Some(tenant.as_bytes())).ok();
    match tenant.map_or_else(|| control.mode_without_tenant(), |tenant| control.for_tenant(&tenant).mode) {
        Mode::Enforce => 0.0,
        Mode::Shadow => 1.0,
        Mode::Off => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sort: Sort, order: Order, expected: &[&str]) {
        let row = |tenant, key, items| Ranked { key, items, tenant, usage: None };
        let mut rows = [
            row("b", Some(0.5), 10),
            row("a", Some(0.5), 10),
            row("c", Some(0.5), 99),
            row("most", Some(2.0), 0),
            row("none", None, 50),
        ];
        rows.sort_unstable_by(|left, right| compare(sort, order, left, right));
        assert_eq!(rows.each_ref().map(|row| row.tenant), expected);
    }

    #[test]
    fn rows_without_a_value_come_last_in_both_orders() {
        check(Sort::Used, Order::Desc, &["most", "c", "a", "b", "none"]);
        check(Sort::Used, Order::Asc, &["c", "a", "b", "most", "none"]);
        check(Sort::Tenant, Order::Asc, &["a", "b", "c", "most", "none"]);
        check(Sort::Tenant, Order::Desc, &["none", "most", "c", "b", "a"]);
    }
}
