use limits::TenantLimits as Limits;

use super::*;

fn version(uid: &str, resource_version: &str, content_sum: u64) -> Version {
    let (uid, resource_version) = (uid.to_owned(), resource_version.to_owned());
    Version { epoch: 1, sequence: 1, uid, resource_version, content_sum }
}

/// What holds one tenant, from an object of this UID or from none.
fn applied(uid: &str) -> AppliedLimits {
    let mut state = LimitsState::new(Limits::default(), false);
    let put = vec![EntryUpdate { tenant: "a", mode: Mode::Enforce, own_fields: "{request_rate: 1}" }];
    let _ = state.update(&Update { complete: true, put, removed: Vec::new() }).unwrap();
    let mut applied = AppliedLimits::new(state);
    applied.origin = origin(&version(uid, "10", 0)).map(Arc::new);
    applied
}

/// Whether limits of this version are taken that were confirmed so many seconds ago, while those in force were 100 seconds ago.
#[track_caller]
fn check(applied: &AppliedLimits, version: &Version, theirs: u64, expected: bool) {
    let taken = applied.check_freshness(version, Duration::from_secs(theirs), Duration::from_secs(100)).is_ok();
    assert_eq!(taken, expected, "{version:?} {theirs}");
}

#[test]
fn cached_limits_of_a_server_replace_only_older_ones() {
    let applied = applied("u");
    check(&applied, &version("", "", 7), 99, true);
    check(&applied, &version("", "", 7), 101, false);
    let same = applied.limits().unwrap().content_sum();
    check(&applied, &version("", "", same), 9_999, true);
}

#[test]
fn limits_confirmed_much_earlier_do_not_replace_newer_ones() {
    for applied in [applied("u"), applied("")] {
        check(&applied, &version("other", "5", 7), 130, true);
        check(&applied, &version("other", "5", 7), 131, false);
    }
}

#[test]
fn one_objects_revisions_and_the_first_limits_ignore_confirmation_time() {
    check(&applied("u"), &version("u", "11", 7), 9_999, true);
    let nothing = AppliedLimits::new(LimitsState::new(Limits::default(), false));
    check(&nothing, &version("", "", 7), 9_999, true);
}

#[tokio::test]
async fn fields_of_a_newer_server_keep_no_limits_from_anybody() {
    let mut applied = applied("u");
    let put =
        |tenant: &str, fields: &str| TenantLimits { tenant: tenant.to_owned(), mode: 0, fields: fields.to_owned() };
    let change = |complete, put| Change { version: version("u", "11", 7), complete, put, removed: Vec::new() };
    let newer = || put("b", "{request_rate: 2, zone_rate: 3}");
    assert!(applied.apply(change(true, vec![put("a", "{request_rate: 5}"), newer()])).await.unwrap());
    let rate = |applied: &AppliedLimits, tenant| {
        applied.limits().unwrap().entry(tenant).map(|entry| entry.limits.request_rate)
    };
    assert_eq!((rate(&applied, "a"), rate(&applied, "b")), (Some(5.0), Some(2.0)));

    assert!(
        applied.apply(change(false, vec![put("a", "{request_rate: 6}")])).await.unwrap(),
        "b is still another one here"
    );
    let known = change(false, vec![put("b", "{request_rate: 2}")]);
    assert!(matches!(applied.apply(known).await, Err(UpdateError::Sum { .. })), "now it has to be what the server has");
}

#[tokio::test]
async fn equal_limits_from_a_servers_cache_keep_the_revision() {
    let mut applied = applied("u");
    let sum = applied.limits().unwrap().content_sum();
    let change = |version| Change { version, complete: false, put: Vec::new(), removed: Vec::new() };
    assert!(!applied.apply(change(version("", "", sum))).await.unwrap());
    let older = applied.apply(change(version("u", "9", sum))).await;
    assert!(matches!(older, Err(UpdateError::Older { .. })), "{older:?}");
}
