use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(
    budget: &Arc<Budget>,
    tenant: Option<&str>,
    bytes: usize,
    expected: Result<(), BudgetExceeded>,
) -> Option<Reservation> {
    let reservation = budget.reserve(tenant, bytes);
    assert_eq!(reservation.as_ref().map(|_| ()).map_err(|&full| full), expected, "{tenant:?} {bytes}");
    reservation.ok()
}

#[test]
fn tenants_get_their_share_and_together_the_whole_budget() {
    let budget = Budget::new(400);
    assert_eq!((budget.limit(), budget.share()), (400, 100));
    let a = check(&budget, Some("a"), 60, Ok(()));
    check(&budget, Some("a"), 41, Err(BudgetExceeded::Tenant));
    let rest_of_a = check(&budget, Some("a"), 40, Ok(()));
    check(&budget, Some("a"), 1, Err(BudgetExceeded::Tenant));
    let unknown = check(&budget, None, 100, Ok(()));
    check(&budget, None, 1, Err(BudgetExceeded::Tenant));
    let others = ["b", ""].map(|tenant| check(&budget, Some(tenant), 100, Ok(())));
    check(&budget, Some("c"), 1, Err(BudgetExceeded::Global));
    drop(a);
    check(&budget, Some("c"), 60, Ok(()));
    assert_eq!(budget.reserved(), 340);
    drop((rest_of_a, unknown, others));
    assert_eq!((budget.reserved(), budget.tenants.len()), (0, 0));
}

#[test]
fn a_reservation_that_cannot_grow_stays_as_it_was() {
    let budget = Budget::new(400);
    let reservation = check(&budget, Some("a"), 30, Ok(())).unwrap();
    assert_eq!(reservation.grow(71), Err(BudgetExceeded::Tenant));
    assert_eq!(reservation.grow(usize::MAX), Err(BudgetExceeded::Tenant));
    assert_eq!(budget.reserved(), 30);
    assert_eq!(reservation.grow(70), Ok(()));
    assert_eq!(budget.reserved(), 100);
    drop(reservation);
    assert_eq!((budget.reserved(), budget.tenants.len()), (0, 0));
}

#[test]
fn a_reservation_is_wanted_once_half_is_taken() {
    let budget = Budget::new(400);
    let a = check(&budget, Some("a"), 50, Ok(())).unwrap();
    let b = check(&budget, Some("b"), 50, Ok(())).unwrap();
    assert!(!a.is_wanted() && !b.is_wanted());
    a.grow(1).unwrap();
    assert!(a.is_wanted() && !b.is_wanted(), "more than half of the share of a");
    let others = ["c", "d"].map(|tenant| check(&budget, Some(tenant), 50, Ok(())));
    assert!(b.is_wanted(), "more than half of all");
    drop((a, others));
    assert!(!b.is_wanted());
}

#[test]
fn what_holds_nothing_is_not_listed() {
    let budget = Budget::new(400);
    let empty = check(&budget, Some("a"), 0, Ok(()));
    check(&budget, Some("b"), 101, Err(BudgetExceeded::Tenant));
    assert_eq!(budget.tenants.len(), 0);
    drop(empty);
    assert_eq!(budget.reserved(), 0);
}

#[test]
fn many_threads_never_go_over_the_limit_and_leave_nothing() {
    const LIMIT: usize = 400;
    let budget = Budget::new(LIMIT);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let budget = &budget;
            scope.spawn(move || {
                let tenant = ["a", "b", "c", "d", "e"][thread % 5];
                for round in 0..5_000 {
                    let first = budget.reserve(Some(tenant), 1 + (round * 7 + thread) % 90);
                    let second = budget.reserve(None, 1 + round % 50);
                    assert!(budget.reserved() <= LIMIT);
                    drop((first, second));
                }
            });
        }
    });
    assert_eq!((budget.reserved(), budget.tenants.len()), (0, 0));
}

/// One step: a tenant takes so many bytes, or the oldest reservation goes.
fn steps() -> impl Strategy<Value = Vec<Option<(u8, usize)>>> {
    prop::collection::vec(prop::option::weighted(0.6, (0..6_u8, 0..120_usize)), 0..200)
}

proptest! {
    #[test]
    fn it_admits_exactly_what_fits(limit in 0..500_usize, steps in steps()) {
        let budget = Budget::new(limit);
        let mut held = std::collections::VecDeque::new();
        for step in steps {
            let mut had: HashMap<u8, usize> = HashMap::new();
            for (tenant, bytes, _) in &held {
                *had.entry(*tenant).or_default() += bytes;
            }
            let all: usize = had.values().sum();
            prop_assert_eq!(budget.reserved(), all);
            prop_assert_eq!(budget.tenants.len(), had.values().filter(|&&bytes| bytes > 0).count());
            let Some((tenant, bytes)) = step else {
                held.pop_front();
                continue;
            };
            let name = tenant.to_string();
            let expected = match had.get(&tenant).copied().unwrap_or_default() + bytes {
                _ if bytes == 0 => Ok(()),
                of_tenant if of_tenant > limit / SHARES => Err(BudgetExceeded::Tenant),
                _ if all + bytes > limit => Err(BudgetExceeded::Global),
                _ => Ok(()),
            };
            let reservation = budget.reserve((tenant > 0).then_some(name.as_str()), bytes);
            prop_assert_eq!(reservation.as_ref().map(|_| ()).map_err(|&full| full), expected);
            held.extend(reservation.ok().map(|reservation| (tenant, bytes, reservation)));
        }
        drop(held);
        prop_assert_eq!((budget.reserved(), budget.tenants.len()), (0, 0));
    }
}
