use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::document::SourceDocument;
use crate::state::LimitsState;

fn state(ingestion_rate: f64) -> LimitsState {
    LimitsState::new(TenantLimits { ingestion_rate, ..TenantLimits::default() }, false)
}

fn put<'t>(tenant: &'t str, mode: Mode, own_fields: &'t str) -> EntryUpdate<'t> {
    EntryUpdate { tenant, mode, own_fields }
}

fn complete(put: Vec<EntryUpdate<'_>>) -> Update<'_> {
    Update { complete: true, put, removed: Vec::new() }
}

/// Everything that a snapshot says, as an update of another state.
fn entries_of(snapshot: &Snapshot) -> Vec<(String, Mode, String)> {
    snapshot.tenants().map(|(key, entry)| (key.as_str().to_owned(), entry.mode, entry.own_fields())).collect()
}

fn as_update(entries: &[(String, Mode, String)]) -> Update<'_> {
    complete(entries.iter().map(|(tenant, mode, fields)| put(tenant, *mode, fields)).collect())
}

#[test]
fn an_entry_lies_over_the_defaults_of_its_reader() {
    let mut writer = state(10_000.0);
    // An override with the value of the built-in default.
    let text = "overrides: {a: {ingestion_rate: 10000}, b: {request_rate: 5}}";
    let written = writer.apply(&[SourceDocument::new("runtime.yaml", text)]).snapshot.expect("limits");
    let entries = entries_of(&written);
    assert_eq!(
        entries.iter().map(|(_, _, fields)| fields.as_str()).collect::<Vec<_>>(),
        ["{ingestion_rate: 10000}", "{request_rate: 5}"]
    );
    let taken = state(7.0).update(&as_update(&entries)).expect("limits").snapshot;
    let rate = |key: &str| taken.entry(key).map(|entry| (entry.limits.ingestion_rate, entry.limits.request_rate));
    assert_eq!((rate("a"), rate("b")), (Some((10_000.0, 0.0)), Some((7.0, 5.0))));
    assert_eq!(taken.content_sum(), written.content_sum(), "whatever the defaults are");
}

#[test]
fn a_partial_update_leaves_the_others() {
    let mut state = state(1.0);
    let first = complete(vec![
        put("a", Mode::Enforce, "{request_rate: 1}"),
        put("b", Mode::Enforce, "{request_rate: 2}"),
        put("c", Mode::Enforce, "{}"),
    ]);
    assert!(state.update(&first).expect("limits").changed);
    let change = Update {
        complete: false,
        put: vec![put("b", Mode::Enforce, "{request_rate: 3}")],
        removed: vec!["c", "never there"],
    };
    let Updated { snapshot, changed, .. } = state.update(&change).expect("limits");
    let rates: Vec<_> =
        snapshot.tenants().map(|(key, entry)| (key.as_str().to_owned(), entry.limits.request_rate)).collect();
    assert_eq!((rates, changed, snapshot.version()), (vec![("a".to_owned(), 1.0), ("b".to_owned(), 3.0)], true, 2));
    let again = state.update(&change).expect("limits");
    assert!(!again.changed && again.snapshot.version() == 2);
}

#[test]
fn an_entry_in_shadow_does_not_replace_a_good_one() {
    let mut state = state(1.0);
    state.update(&complete(vec![put("a", Mode::Enforce, "{request_rate: 1}")])).expect("limits");
    let bad = || vec![put("a", Mode::Shadow, "{request_rate: 2}"), put("b", Mode::Shadow, "{request_rate: 2}")];
    for complete in [true, false] {
        let taken = state.update(&Update { complete, put: bad(), removed: Vec::new() }).expect("limits").snapshot;
        let entry = |key: &str| taken.entry(key).map(|entry| (entry.limits.request_rate, entry.mode));
        assert_eq!(entry("a"), Some((1.0, Mode::Enforce)));
        assert_eq!(entry("b"), Some((2.0, Mode::Shadow)));
    }
    let fixed = state.update(&complete(vec![put("b", Mode::Enforce, "{request_rate: 3}")])).expect("limits").snapshot;
    assert_eq!((fixed.len(), fixed.entry("b").map(|entry| entry.mode)), (1, Some(Mode::Enforce)));
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let mut state = state(1.0);
    state.update(&complete(vec![put("a", Mode::Enforce, "{request_rate: 1}")])).expect("limits");
    for (tenant, fields, expected) in [
        ("b", "{request_rate: fast}", "tenant b field request_rate is \"fast\": write a number"),
        ("b", "{request_rate: 1, request_rate: 2}", "tenant b is no mapping of fields"),
        ("b", "[request_rate]", "tenant b"),
        ("b", "", "tenant b is no mapping of fields"),
        ("b", "{", "tenant b cannot be read"),
        ("b", "{}\n---\n{}", "tenant b is no mapping of fields"),
        ("", "{}", "tenant"),
        ("a/b", "{}", "tenant a/b no push is ever of this tenant"),
    ] {
        for complete in [true, false] {
            let puts = vec![put("a", Mode::Enforce, "{request_rate: 9}"), put(tenant, Mode::Enforce, fields)];
            let error = state.update(&Update { complete, put: puts, removed: Vec::new() });
            let error = error.expect_err(fields).to_string();
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }
    let now = state.current().expect("limits");
    assert_eq!((now.version(), now.len()), (1, 1));
}

#[test]
fn fields_of_a_newer_build_are_ignored_and_reported() {
    let mut state = state(1.0);
    let newer = put("b", Mode::Enforce, "{request_rate: 2, zone_rate: {a: 1}}");
    let done = state.update(&complete(vec![put("a", Mode::Enforce, "{request_rate: 1}"), newer])).expect("limits");
    assert_eq!(done.passed_over, ["b"]);
    assert_eq!(done.snapshot.entry("b").map(TenantEntry::own_fields).as_deref(), Some("{request_rate: 2}"));
}

#[test]
fn the_last_tenant_goes_only_if_that_is_allowed() {
    for allowed in [false, true] {
        let mut state = LimitsState::new(TenantLimits::default(), allowed);
        let nothing = || complete(Vec::new());
        assert!(state.update(&nothing()).is_ok_and(|done| done.changed), "there was no tenant before");
        state.update(&complete(vec![put("a", Mode::Enforce, "{}")])).expect("limits");
        let gone = Update { complete: false, put: Vec::new(), removed: vec!["a"] };
        for update in [nothing(), gone] {
            let done = state.update(&update);
            assert_eq!(done.map(|done| done.snapshot.len()), if allowed { Ok(0) } else { Err(UpdateError::Emptied) });
        }
    }
}

proptest! {
    /// Each update has the changes since the moment before, or since a few moments before.
    #[test]
    fn following_changes_gives_the_same_limits_as_the_whole(
        moments in prop::collection::vec(prop::collection::btree_map("[a-e]", 0_u8..4, 1..5), 1..8),
        skips in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut follower = state(1.0);
        let mut has: BTreeMap<String, u8> = BTreeMap::new();
        let (mut last, mut sum) = (None, 0);
        for (moment, skip) in moments.iter().zip(skips) {
            let fields: Vec<_> = moment.iter().map(|(key, rate)| (key, format!("{{request_rate: {rate}}}"))).collect();
            let puts = fields.iter().filter(|(key, _)| moment.get(*key) != has.get(*key));
            let change = Update {
                complete: false,
                put: puts.map(|(key, fields)| put(key, Mode::Enforce, fields)).collect(),
                removed: has.keys().filter(|key| !moment.contains_key(*key)).map(String::as_str).collect(),
            };
            let whole = complete(fields.iter().map(|(key, fields)| put(key, Mode::Enforce, fields)).collect());
            let directly = state(1.0).update(&whole).expect("limits").snapshot;
            sum = directly.content_sum();
            if skip {
                continue;
            }
            let followed = follower.update(&change).expect("limits").snapshot;
            prop_assert!(followed.diff(&directly).is_empty());
            prop_assert_eq!(followed.content_sum(), sum);
            has.clone_from(moment);
            last = Some(followed);
        }
        prop_assert_eq!(last.is_some_and(|last| last.content_sum() == sum), moments.last() == Some(&has));
    }
}
