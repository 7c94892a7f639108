use proto::edge::limits::v1 as feed;

use super::*;

fn version(sequence: u64) -> Version {
    Version { epoch: 7, sequence, ..Version::default() }
}

fn put(tenant: &str, fields: &str) -> TenantLimits {
    TenantLimits { tenant: tenant.to_owned(), mode: 0, fields: fields.to_owned() }
}

fn part(sequence: u64, complete: bool, tenants: &[&str], last: bool) -> LimitsPart {
    let put = tenants.iter().map(|tenant| put(tenant, "{}")).collect();
    LimitsPart { version: Some(version(sequence)), complete, last, put, removed: Vec::new() }
}

#[test]
fn a_change_holds_once_its_last_part_is_there() {
    let mut changes = Changes::default();
    for sequence in 1..3 {
        assert_eq!(changes.add(part(sequence, true, &["a"], false)), Ok(None));
        assert!(changes.is_under_way());
        let change = changes.add(part(sequence, true, &["b"], true)).unwrap().unwrap();
        let tenants: Vec<_> = change.put.iter().map(|entry| entry.tenant.as_str()).collect();
        assert_eq!((change.version, tenants), (version(sequence), vec!["a", "b"]));
        assert!(!changes.is_under_way());
    }
}

#[track_caller]
fn check(parts: Vec<LimitsPart>, expected: PartError) {
    let mut changes = Changes::default();
    let last = parts.into_iter().map(|part| changes.add(part)).last();
    assert_eq!(last, Some(Err(expected)));
}

#[test]
fn parts_that_make_no_change_are_rejected() {
    check(vec![LimitsPart { version: None, ..part(1, true, &[], true) }], PartError::NoVersion);
    check(vec![part(1, true, &[], false), part(2, true, &[], true)], PartError::Mixed);
    check(vec![part(1, true, &[], false), part(1, false, &[], true)], PartError::Mixed);
    let removed = vec!["a".to_owned()];
    check(vec![LimitsPart { removed, ..part(1, true, &[], true) }], PartError::RemovesFromNothing);
}

#[test]
fn parts_are_gathered_up_to_a_bound() {
    let large = |bytes| LimitsPart { put: vec![put("a", &" ".repeat(bytes))], ..part(1, true, &[], false) };
    check(vec![large(MAX_CHANGE_BYTES / 2), large(MAX_CHANGE_BYTES / 2)], PartError::LargeChange);
    let many = |tenants| LimitsPart { removed: vec![String::new(); tenants], ..part(1, false, &[], false) };
    check(vec![many(MAX_TENANTS), many(1)], PartError::LargeChange);
    let mut changes = Changes::default();
    for sequence in 1..4 {
        assert_eq!(
            changes.add(LimitsPart { version: Some(version(sequence)), ..large(MAX_CHANGE_BYTES / 2) }),
            Ok(None)
        );
        assert!(changes.add(part(sequence, true, &[], true)).unwrap().is_some());
    }
}

fn elected(count: usize, last: bool) -> ElectedPart {
    let entry = feed::ElectedReplica { tenant: "t".into(), ..feed::ElectedReplica::default() };
    ElectedPart { requested_at_unix_millis: 5, last, elected: vec![entry; count], age_millis: last.then_some(7) }
}

#[test]
fn an_overlong_list_is_rejected_once_and_the_next_accepted() {
    let mut lists = ElectedLists::default();
    assert_eq!(lists.add(elected(MAX_ELECTED, false)), Ok(None));
    assert_eq!(lists.add(elected(1, false)), Ok(None));
    assert_eq!(lists.add(elected(1, true)), Err(PartError::LargeList));
    assert_eq!(lists.add(elected(1, false)), Ok(None));
    let list = lists.add(elected(1, true)).unwrap().unwrap();
    assert_eq!((list.requested_at_unix_millis, list.elected.len(), &*list.elected[0].tenant), (5, 2, "t"));
    assert_eq!(list.age, Some(Duration::from_millis(7)));
}
