use std::collections::HashSet;

use limits::Tenant;

use super::*;

fn owner(tenant: &str, has_override: bool) -> BucketOwner<'_> {
    BucketOwner { tenant: Tenant::parse(Some(tenant.as_bytes())).unwrap(), has_override }
}

fn push(items: u32) -> Usage {
    Usage { requests: 1, counted: 1, items, largest: items, ..Usage::default() }
}

fn refused(items: u32) -> Usage {
    Usage { denied: 1, refused: 1, ..push(items) }
}

fn names(usage: &TenantUsage) -> HashSet<String> {
    usage.rows().into_iter().map(|row| row.tenant).filter(|tenant| tenant != OTHER).collect()
}

#[test]
fn rows_have_the_busiest_first_and_the_others_last() {
    let usage = TenantUsage::default();
    for (tenant, items) in [("calm", 10), ("busy", 500), ("calm", 20)] {
        usage.record(&owner(tenant, false), &push(items));
    }
    usage.close_second();
    let rows = usage.rows();
    let of = |row: &UsageRow| (row.tenant.clone(), row.minute.total.requests, row.minute.total.items);
    let expected = [("busy".to_owned(), 1, 500), ("calm".to_owned(), 2, 30), (OTHER.to_owned(), 0, 0)];
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(usage.history("busy").unwrap().len(), 1);
    assert!(usage.history("unknown").is_none());
}

#[test]
fn refusals_are_counted_since_the_last_accepted_push() {
    let (usage, owner) = (TenantUsage::default(), owner("a", true));
    usage.record(&owner, &push(1));
    assert_eq!(usage.row("a").unwrap().refused_since, None);
    let before = SystemTime::now();
    (0..3).for_each(|_| usage.record(&owner, &refused(5)));
    let row = usage.row("a").unwrap();
    assert_eq!(row.refused_in_a_row, 3);
    assert!(row.refused_since.unwrap() >= before);
    // A denial in shadow is none that the client sees.
    usage.record(&owner, &Usage { denied: 1, ..push(5) });
    assert_eq!((usage.row("a").unwrap().refused_in_a_row, usage.row("a").unwrap().refused_since), (0, None));
}

#[test]
fn denials_began_with_the_first_after_a_pause() {
    let (now, pause) = (Instant::now(), DENIALS_END_AFTER);
    let mut state = State::default();
    let began = |state: &State, at: Instant| state.denials_at(at).map(|denials| denials.began);
    assert_eq!(began(&state, now), None);
    state.denied(now);
    let first = began(&state, now);
    assert!(first.is_some());
    state.denied(now + pause / 2);
    assert_eq!(began(&state, now + pause), first, "the pause is counted from the last one");
    assert_eq!(began(&state, now + pause * 2), None);
    state.denied(now + pause * 2);
    assert!(began(&state, now + pause * 2) > first);
}

#[test]
fn tenants_that_never_retry_are_known_after_ten_refusals() {
    let usage = TenantUsage::default();
    for number in 0..10 {
        assert!(!usage.row("loses").is_some_and(|row| row.never_retries), "{number}");
        usage.record(&owner("loses", false), &refused(1));
        usage.record(&owner("retries", false), &Usage { retries: u32::from(number == 3), ..refused(1) });
        usage.close_second();
    }
    assert!(usage.row("loses").unwrap().never_retries);
    assert!(!usage.row("retries").unwrap().never_retries);
}

#[test]
fn invented_tenants_leave_half_of_the_places_to_overrides() {
    let usage = TenantUsage::default();
    (0..5_000).for_each(|number| usage.record(&owner(&format!("invented{number}"), false), &push(1)));
    assert_eq!(names(&usage).len(), PLACES_WITHOUT_OVERRIDE);
    (0..5_000).for_each(|number| usage.record(&owner(&format!("known{number}"), true), &push(1)));
    assert_eq!(names(&usage).len(), PLACES);
    usage.close_second();
    let all: u32 = usage.rows().iter().map(|row| row.minute.total.requests).sum();
    assert_eq!(all, 10_000, "each push is counted once");
}

#[test]
fn the_least_busy_tenants_give_way_to_others() {
    let usage = TenantUsage::default();
    for number in 0..600 {
        usage.record(&owner(&format!("t{number}"), false), &push(if number < 30 { 1_000 } else { 1 }));
    }
    (0..100).for_each(|number| usage.record(&owner(&format!("known{number}"), true), &push(1)));
    usage.close_second();
    let start = Instant::now();
    usage.evict_idle(start);
    assert!((0..100).all(|number| names(&usage).contains(&format!("known{number}"))), "overrides stay");
    assert_eq!(names(&usage).len(), 100 + PLACES_WITHOUT_OVERRIDE - DISPLACED);
    assert!((0..30).all(|number| names(&usage).contains(&format!("t{number}"))), "busy ones stay");
    usage.record(&owner("late", false), &push(1));
    assert!(names(&usage).contains("late"));
    usage.evict_idle(start + DISPLACE_EVERY);
    assert_eq!(names(&usage).len(), 101 + PLACES_WITHOUT_OVERRIDE - DISPLACED, "no tenant waits for a place");
    (0..600).for_each(|number| usage.record(&owner(&format!("more{number}"), false), &push(1)));
    usage.evict_idle(start + DISPLACE_EVERY * 2);
    (0..600).for_each(|number| usage.record(&owner(&format!("later{number}"), false), &push(1)));
    usage.evict_idle(start + DISPLACE_EVERY * 2 + Duration::from_secs(2));
    assert_eq!(names(&usage).len(), 100 + PLACES_WITHOUT_OVERRIDE, "at most once a minute");
}

#[test]
fn a_tenant_with_an_override_displaces_one_without() {
    let usage = TenantUsage::default();
    (0..500).for_each(|number| usage.record(&owner(&format!("other{number}"), false), &push(1_000)));
    (0..600).for_each(|number| usage.record(&owner(&format!("known{number}"), true), &push(1)));
    usage.close_second();
    usage.evict_idle(Instant::now());
    (0..600).for_each(|number| usage.record(&owner(&format!("known{number}"), true), &push(1)));
    let known = names(&usage).into_iter().filter(|name| name.starts_with("known")).count();
    assert_eq!(known, 500 + DISPLACED);
}

#[test]
fn a_tenant_without_a_push_for_two_hours_is_forgotten() {
    let usage = TenantUsage::default();
    usage.record(&owner("a", false), &push(1));
    for _ in 0..::usage::KEPT_SECONDS {
        usage.close_second();
    }
    usage.evict_idle(Instant::now());
    assert_eq!(names(&usage).len(), 1);
    (0..20).for_each(|_| usage.close_second());
    usage.evict_idle(Instant::now());
    assert_eq!(names(&usage).len(), 0);
    assert_eq!(usage.room.taken(), [0, 0]);
}
