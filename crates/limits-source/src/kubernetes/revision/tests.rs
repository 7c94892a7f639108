use k8s_openapi::api::core::v1::ConfigMap;
use limits::TenantLimits;
use serde_json::json;

use super::*;

fn content(uid: &str, version: &str, data: &[(&str, &str)]) -> Content {
    let data: std::collections::BTreeMap<_, _> = data.iter().copied().collect();
    let metadata = json!({ "name": "mimir-runtime", "uid": uid, "resourceVersion": version });
    let object = json!({ "metadata": metadata, "data": data });
    Content::of(serde_json::from_value::<ConfigMap>(object).unwrap()).unwrap()
}

fn revisions() -> Revisions {
    let spec = "mimir/mimir-runtime".parse().unwrap();
    Revisions::new(spec, LimitsState::new(TenantLimits::default(), false), LastReadName::default())
}

fn read(version: &str, text: &str) -> Revisions {
    let mut revisions = revisions();
    revisions.apply(&content("u", version, &[("runtime.yaml", text)]));
    revisions
}

/// Tenants, the version that the limits are from, and what is wrong.
fn seen(revisions: &Revisions) -> (usize, Option<String>, Vec<String>) {
    let state = revisions.state();
    let problems = state.problems.iter().map(ToString::to_string);
    let version = state.origin.map(|origin| origin.resource_version.to_string());
    (state.limits.map_or(0, |limits| limits.len()), version, problems.collect())
}

#[test]
fn revisions_of_one_object_are_compared_by_age() {
    let revisions = read("9", "overrides: {a: {}}");
    let origin = |uid: &str, version: &str| ObjectRevision { uid: uid.into(), resource_version: version.into() };
    assert_eq!(revisions.relation(&origin("u", "9")), Relation::Same);
    assert_eq!(revisions.relation(&origin("u", "8")), Relation::Older);
    assert_eq!(revisions.relation(&origin("u", "10")), Relation::Newer);
    assert_eq!(revisions.relation(&origin("v", "8")), Relation::Other);
    assert_eq!(self::revisions().relation(&origin("u", "8")), Relation::Other);
}

#[test]
fn a_document_and_flat_keys_are_one_set() {
    let mut revisions = revisions();
    let data = [("runtime.yaml", "overrides: {a: {ingestion_rate: 1}}"), ("b.ingestion_rate", "2")];
    revisions.apply(&content("u", "1", &data));
    assert_eq!(seen(&revisions), (2, Some("1".to_owned()), vec![]));
    assert!(revisions.is_in_force());
}

#[test]
fn problems_follow_the_object_read_even_if_it_is_rejected() {
    let bad = [("runtime.yaml", "overrides: {a: {ingestion_rate: fast}}")];
    let (mut never_good, mut replaced) = (revisions(), read("9", "overrides: {a: {}}"));
    for revisions in [&mut never_good, &mut replaced] {
        revisions.apply(&content("v", "10", &bad));
        let read = revisions.state().read;
        assert_eq!(read.as_deref(), Some(&ObjectRevision { uid: "v".into(), resource_version: "10".into() }));
    }
    assert_eq!(never_good.state().origin, None, "no limits are from it");
}

#[test]
fn a_rejected_document_keeps_the_limits_and_their_revision() {
    let mut revisions = read("9", "overrides: {a: {}}");
    revisions.apply(&content("u", "10", &[("runtime.yaml", "overrides: {a: {ingestion_rate: fast}}")]));
    let (tenants, version, problems) = seen(&revisions);
    assert_eq!((tenants, version.as_deref(), problems.len()), (1, Some("9"), 1));
    assert!(!revisions.is_in_force(), "what holds is not what is there");
    let older = ObjectRevision { uid: "u".into(), resource_version: "9".into() };
    assert_eq!(revisions.relation(&older), Relation::Older, "a rejected revision was read all the same");
}

#[test]
fn an_object_without_data_is_an_emptied_document() {
    let mut revisions = read("9", "overrides: {a: {}}");
    revisions.apply(&content("u", "10", &[]));
    let (tenants, version, problems) = seen(&revisions);
    assert_eq!((tenants, version.as_deref(), problems.len()), (1, Some("9"), 1));
}

#[test]
fn a_deletion_keeps_the_limits_until_the_object_is_recreated() {
    let mut revisions = read("9", "overrides: {a: {}}");
    assert!(revisions.set_missing(true) && !revisions.set_missing(true));
    let deleted =
        "mimir/mimir-runtime: the ConfigMap was deleted; the last good limits stay in force until it is recreated";
    assert_eq!(seen(&revisions), (1, Some("9".to_owned()), vec![deleted.to_owned()]));
    assert!(!revisions.is_in_force());
    revisions.apply(&content("v", "12", &[("runtime.yaml", "overrides: {a: {}, b: {}}")]));
    assert_eq!(seen(&revisions), (2, Some("12".to_owned()), vec![]));
    assert!(revisions.is_in_force());
}

#[test]
fn a_read_error_is_a_problem_besides_those_of_documents() {
    let mut revisions = read("9", "a.ingestion_rate: fast\n");
    assert!(revisions.set_errors(vec!["no answer".to_owned()]));
    assert!(!revisions.set_errors(vec!["no answer".to_owned()]), "reported once");
    assert_eq!(seen(&revisions).2.len(), 2);
    assert!(revisions.set_errors(vec![]));
    assert_eq!(seen(&revisions).2.len(), 1);
}

#[test]
fn a_missing_object_and_a_deleted_object_are_different_problems() {
    let mut revisions = revisions();
    revisions.set_missing(true);
    let expected = "mimir/mimir-runtime: the ConfigMap does not exist; create it, or name the one that Mimir reads";
    assert_eq!(seen(&revisions), (0, None, vec![expected.to_owned()]));
}

#[test]
fn ambiguous_keys_change_nothing() {
    let mut revisions = read("9", "overrides: {a: {}}");
    let document = "overrides: {a: {}, b: {}}";
    revisions.apply(&content("u", "10", &[("one.yaml", document), ("two.yaml", document)]));
    let (tenants, version, problems) = seen(&revisions);
    assert_eq!((tenants, version.as_deref(), problems.len()), (1, Some("9"), 1));
    assert!(problems[0].starts_with("data: several keys can be the runtime configuration (one.yaml, two.yaml)"));
    assert!(!revisions.is_in_force());
    revisions.apply(&content(
        "u",
        "11",
        &[("one.yaml", document), ("runtime.yaml", "overrides: {a: {}, c: {}, d: {}}")],
    ));
    let (tenants, version, problems) = seen(&revisions);
    assert_eq!((tenants, version.as_deref(), problems.len()), (3, Some("11"), 1), "the other key is reported");
    assert!(revisions.is_in_force());
}

#[test]
fn problems_of_an_object_selected_by_label_carry_its_name() {
    let spec: ConfigMapSpec = "mimir/app=runtime".parse().unwrap();
    let names = LastReadName::default();
    let mut revisions = Revisions::new(spec, LimitsState::new(TenantLimits::default(), false), names.clone());
    revisions.set_missing(true);
    let nothing = "mimir/app=runtime: no ConfigMap has the label; add it to the one that Mimir reads, or name that one";
    assert_eq!(seen(&revisions).2, [nothing]);
    let content = content("u", "10", &[("runtime.yaml", "overrides: {a: {}}")]);
    revisions.apply(&content);
    assert_eq!(names.of(&content.origin).map(|name| name.to_string()).as_deref(), Some("mimir/mimir-runtime"));
    let other = ObjectRevision { uid: "v".into(), resource_version: "10".into() };
    assert_eq!(names.of(&other), None);
    revisions.set_missing(true);
    assert!(seen(&revisions).2[0].starts_with("mimir/mimir-runtime: the ConfigMap was deleted"));
}

fn object(name: &str, created: &str) -> ConfigMap {
    let metadata = json!({ "name": name, "uid": "u", "resourceVersion": "7", "creationTimestamp": created });
    serde_json::from_value(json!({ "metadata": metadata, "data": { "a": "1" }, "binaryData": { "b": "AP8=" } }))
        .unwrap()
}

fn at(second: u8) -> String {
    format!("2026-04-01T00:00:{second:02}Z")
}

#[test]
fn data_and_binary_data_are_taken_as_they_are() {
    let content = Content::of(object("a", &at(1))).unwrap();
    assert_eq!((content.data.get("a"), content.data.get("b")), (Some(&b"1"[..]), Some(&[0, 255][..])));
    assert_eq!((&*content.origin.uid, &*content.origin.resource_version, &*content.name), ("u", "7", "a"));
}

#[test]
fn an_object_without_data_has_no_keys() {
    let mut bare = object("a", &at(1));
    (bare.data, bare.binary_data) = (None, None);
    assert!(Content::of(bare.clone()).unwrap().data.keys().is_empty());
    bare.metadata.uid = None;
    assert!(Content::of(bare).is_none());
}

#[test]
fn the_newest_object_is_read_and_names_break_ties() {
    let name = |objects| newest(objects, |object: &ConfigMap| &object.metadata).and_then(|object| object.metadata.name);
    assert_eq!(name(vec![object("z", &at(1)), object("a", &at(2))]).as_deref(), Some("a"));
    assert_eq!(name(vec![object("b", &at(2)), object("a", &at(2))]).as_deref(), Some("b"));
    assert_eq!(name(vec![object("b", &at(2)), object("c", &at(3)), object("a", &at(2))]).as_deref(), Some("c"));
    assert_eq!(name(vec![]), None);
}
