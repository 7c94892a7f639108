//! Charges that nobody knows exactly, and the bound of what passes by them.

use super::*;

#[test]
fn what_cannot_be_metered_takes_all_or_nothing_and_has_a_bound_of_its_own() {
    use UnmeteredCharge::{OverBound, Taken, WithinBound};
    let enforcer = Enforcer::new();
    let ten = limit(1.0, 10);
    let push = |items, second| enforcer.charge_unmetered(&tenant("a"), ten, items, true, seconds(second));
    assert_eq!([push(6, 0), push(14, 0), push(4, 0)], [Taken, WithinBound, Taken]);
    assert_eq!([push(86, 0), push(1, 0)], [WithinBound, OverBound], "the bound is 100");
    check(&enforcer.charge_items(&tenant("a"), ten, 1, START), Some(DenyReason::IngestionRate));
    assert_eq!([push(3, 2), push(2, 2), push(17, 2)], [WithinBound, Taken, WithinBound], "both fill again");
    assert_eq!(unmetered_denial(ten).reason(), DenyReason::EdgeUnmetered);
    assert_eq!(enforcer.charge_unmetered(&tenant("b"), ten, 7, true, START), Taken, "tenants share nothing");
}

#[test]
fn what_is_not_to_cost_tokens_has_the_bound_alone() {
    let enforcer = Enforcer::new();
    let ten = limit(1.0, 10);
    let push = |items| enforcer.charge_unmetered(&tenant("a"), ten, items, false, START) != UnmeteredCharge::OverBound;
    assert_eq!((push(60), push(40), push(1)), (true, true, false));
    check(&enforcer.charge_items(&tenant("a"), ten, 10, START), None);
}

#[test]
fn an_unmetered_push_larger_than_its_bound_passes_where_the_bound_is_untouched() {
    let enforcer = Enforcer::new();
    let passes = |limit, items, second| {
        let charge = enforcer.charge_unmetered(&tenant("a"), limit, items, true, seconds(second));
        charge != UnmeteredCharge::OverBound
    };
    let ten = limit(1.0, 10);
    assert_eq!([0, 5, 10].map(|second| passes(ten, 1_000_000, second)), [true, false, true]);
    let none = limit(0.0, 0);
    assert_eq!([100, 1_000].map(|second| passes(none, 5, second)), [true, false], "a limit of nothing lets one by");
    assert!(passes(UNLIMITED, u64::MAX, 1_000) && passes(UNLIMITED, u64::MAX, 1_000));
}

#[test]
fn a_tenant_with_a_used_bound_is_not_forgotten_before_it_is_full() {
    let enforcer = Enforcer::new();
    let charge = enforcer.charge_unmetered(&tenant("a"), limit(1.0, 10), 100, false, START);
    assert_eq!(charge, UnmeteredCharge::WithinBound);
    assert_eq!([0, 9, 10].map(|second| enforcer.evict_idle(seconds(second))), [0, 0, 1]);
}
