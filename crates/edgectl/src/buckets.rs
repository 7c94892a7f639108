//! The buckets of a tenant as text.

use crate::edge_api::Bucket;
use crate::output::{NONE, Table, number};

/// Where an answer comes from, and what its buckets are.
pub(crate) fn where_from(replica: &str, has_buckets: bool) -> String {
    match has_buckets {
        true => format!("{replica} has its buckets"),
        false => format!("{replica}; no replica that answered has buckets of it, so they are full"),
    }
}

/// When a push passes, if nothing else is charged.
pub(crate) fn wait(seconds: Option<f64>) -> String {
    match seconds {
        None => "never by waiting".to_owned(),
        Some(0.0) => "now".to_owned(),
        Some(seconds) if seconds < 0.1 => "in less than 0.1 s".to_owned(),
        Some(seconds) => format!("in {} s", number(seconds)),
    }
}

/// The buckets with their limits; without any, as in mode off, a line that says so.
pub(crate) fn table(request: Option<&Bucket>, ingestion: Option<&Bucket>) -> String {
    text(&[], request, ingestion, |_| Vec::new())
}

/// The same with what a push takes from each, and when it passes there.
pub(crate) fn table_with_cost(request: Option<&Bucket>, ingestion: Option<&Bucket>) -> String {
    text(&["COST", "PASSES"], request, ingestion, |bucket| {
        vec![bucket.cost.to_string(), if bucket.passes { "now".to_owned() } else { wait(bucket.passes_in_seconds) }]
    })
}

fn text(
    more: &[&str],
    request: Option<&Bucket>,
    ingestion: Option<&Bucket>,
    more_cells: impl Fn(&Bucket) -> Vec<String>,
) -> String {
    let mut table = Table::new(&[&["BUCKET", "RATE", "BURST", "CAPACITY", "TOKENS", "FILL"], more].concat());
    let buckets = [("request", request), ("ingestion", ingestion)];
    let buckets: Vec<_> = buckets.into_iter().filter_map(|(name, bucket)| Some((name, bucket?))).collect();
    if buckets.is_empty() {
        return "no buckets: the mode is off, or there are no limits yet\n".to_owned();
    }
    for (name, bucket) in buckets {
        let cells = [
            name.to_owned(),
            bucket.limit.rate.map_or_else(|| "unlimited".to_owned(), |rate| format!("{rate}/s")),
            bucket.limit.burst.map_or_else(String::new, |burst| burst.to_string()),
            bucket.capacity.map_or_else(String::new, |capacity| capacity.to_string()),
            bucket.tokens.map_or_else(String::new, number),
            bucket.fill().map_or_else(|| NONE.to_owned(), |fill| format!("{} %", number(fill * 100.0))),
        ];
        table.row(cells.into_iter().chain(more_cells(bucket)));
    }
    table.text()
}
