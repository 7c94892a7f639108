//! Charges that are not known exactly, and the bound of what passes with them.

use super::*;
use crate::unmetered_denial;

/// The bound of this limit is 100,000 items, and 10,000 a second.
const LIMIT: (f64, i64) = (1_000.0, 10_000);

fn passes(enforcer: &Enforcer, (per_second, burst): (f64, i64), items: u64, second: u64) -> bool {
    let charge = enforcer.charge_unmetered(&tenant("a"), limit(per_second, burst), items, false, seconds(second));
    charge != UnmeteredCharge::OverBound
}

#[test]
fn unmetered_pushes_take_all_or_nothing_within_their_bound() {
    use UnmeteredCharge::{OverBound, Taken, WithinBound};
    let enforcer = Enforcer::new();
    let limit = limit(LIMIT.0, LIMIT.1);
    let push = |items, second| enforcer.charge_unmetered(&tenant("a"), limit, items, true, seconds(second));
    assert_eq!([push(6_000, 0), push(14_000, 0), push(4_000, 0)], [Taken, WithinBound, Taken]);
    assert_eq!([push(86_000, 0), push(1, 0)], [WithinBound, OverBound]);
    check(&enforcer.charge_items(&tenant("a"), limit, 1, START), Some(DenyReason::IngestionRate));
    assert_eq!([push(3_000, 2), push(2_000, 2), push(17_000, 2)], [WithinBound, Taken, WithinBound], "both fill again");
    assert_eq!(unmetered_denial(limit).reason(), DenyReason::EdgeUnmetered);
    assert_eq!(enforcer.charge_unmetered(&tenant("b"), limit, 7, true, START), Taken, "tenants share nothing");
}

#[test]
fn what_is_not_to_cost_tokens_has_the_bound_alone() {
    let enforcer = Enforcer::new();
    assert_eq!([60_000, 40_000, 1].map(|items| passes(&enforcer, LIMIT, items, 0)), [true, true, false]);
    check(&enforcer.charge_items(&tenant("a"), limit(LIMIT.0, LIMIT.1), 10_000, START), None);
}

/// The bucket then owes what exceeds the bound.
#[test]
fn an_oversized_unmetered_push_passes_an_unused_bound() {
    let enforcer = Enforcer::new();
    assert!(passes(&enforcer, LIMIT, 1_000_000, 0));
    assert!(!passes(&enforcer, LIMIT, 1, 89), "900,000 are owed at 10,000 a second");
    assert!(passes(&enforcer, LIMIT, 1, 91));
    assert!(!passes(&enforcer, LIMIT, 1_000_000, 92), "the bound is not full again");
    let unlimited = |items| enforcer.charge_unmetered(&tenant("b"), UNLIMITED, items, true, START);
    assert_eq!([unlimited(u64::MAX), unlimited(u64::MAX)], [UnmeteredCharge::Taken; 2]);
}

#[test]
fn however_low_a_limit_is_some_items_pass_unmetered() {
    for limit in [(0.0, 0), (-1.0, -5), (f64::NAN, 0), (0.001, 1)] {
        let enforcer = Enforcer::new();
        let passed = [10_000, 1].map(|items| passes(&enforcer, limit, items, 0));
        assert_eq!((passed, passes(&enforcer, limit, 90, 1)), ([true, false], true), "{limit:?}");
    }
}

#[test]
fn tenants_stay_until_their_unmetered_bound_is_full() {
    let enforcer = Enforcer::new();
    assert!(passes(&enforcer, LIMIT, 100_000, 0));
    assert_eq!([0, 9, 10].map(|second| enforcer.evict_idle(seconds(second))), [0, 0, 1]);
}
