//! The memory of a tenant that has pushed and pushes no more, and that of an override.

use crate::setup::{body, check, edge_with, limits_of, push};
use crate::{Row, Target};

/// The map of buckets has grown just before the least of these, so that it is as empty as it can be, and is full at the most.
const TENANTS: [u32; 4] = [100_000, 115_000, 130_000, 200_000];
const OVERRIDES: u32 = 100_000;

pub(crate) fn rows() -> Vec<Row> {
    let body = body(1);
    let buckets = TENANTS.map(|tenants| {
        let (edge, _) = edge_with(limits_of(0, 0));
        // What all tenants share exists after the first ones.
        let first = 2_000;
        (0..first).for_each(|tenant| check(&edge, &push(tenant, &body)));
        let taken = allocation_counter::measure(|| {
            (first..tenants).for_each(|tenant| check(&edge, &push(tenant, &body)));
        });
        taken.bytes_current as f64 / f64::from(tenants - first)
    });
    let most = buckets.into_iter().fold(0.0, f64::max);
    let mut limits = None;
    let taken = allocation_counter::measure(|| limits = Some(limits_of(OVERRIDES, 1)));
    let of_override = taken.bytes_current as f64 / f64::from(OVERRIDES);
    drop(limits);
    vec![
        Row::new("memory of an idle tenant with an ingestion bucket", most, "bytes", Some(Target::AtMost(300.0))),
        Row::new("memory of an override", of_override, "bytes", None),
    ]
}
