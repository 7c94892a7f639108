use super::*;

fn data(text: &[(&str, &str)], binary: &[(&str, &[u8])]) -> ConfigMapData {
    ConfigMapData {
        text: text.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
        binary: binary.iter().map(|(key, bytes)| ((*key).to_owned(), bytes.to_vec())).collect(),
    }
}

/// The keys that are read, and the problems, of a ConfigMap whose keys all hold a document, but for flat ones.
#[track_caller]
fn check(chosen: &[&str], keys: &[&str], read: &[&str], problems: &[&str]) {
    let value = |key: &str| if is_flat_key(key) { "5" } else { "overrides: {}" };
    let data = data(&keys.iter().map(|key| (*key, value(key))).collect::<Vec<_>>(), &[]);
    let chosen: Vec<_> = chosen.iter().map(|key| (*key).to_owned()).collect();
    let selected = select("mimir/runtime", &chosen, &data);
    assert_eq!(selected.documents.iter().map(|document| document.name).collect::<Vec<_>>(), read);
    assert_eq!(selected.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), problems);
    assert_eq!(selected.is_rejected(), read.is_empty() && !keys.is_empty());
}

#[test]
fn the_key_mimir_mounts_is_read_whatever_other_keys_exist() {
    check(&[], &["runtime.yaml"], &["runtime.yaml"], &[]);
    check(&[], &["overrides.yaml"], &["overrides.yaml"], &[]);
    let zzz =
        "zzz.yaml: is not read: runtime.yaml is the key that is read; --limits kube:mimir/runtime/KEY names another";
    check(&[], &["runtime.yaml", "zzz.yaml"], &["runtime.yaml"], &[zzz]);
    let others = ["NOTES", "mimir.conf"].map(|key| {
        format!(
            "{key}: is not read: overrides.yaml is the key that is read; --limits kube:mimir/runtime/KEY names another"
        )
    });
    check(&[], &["NOTES", "mimir.conf", "overrides.yaml"], &["overrides.yaml"], &[&others[0], &others[1]]);
}

#[test]
fn the_only_document_is_read_under_any_name() {
    check(&[], &["limits.yml"], &["limits.yml"], &[]);
    check(&[], &["limits.json.gz"], &["limits.json.gz"], &[]);
    check(&[], &["runtime"], &["runtime"], &[]);
    let notes =
        "NOTES: is not read: limits.json is the key that is read; --limits kube:mimir/runtime/KEY names another";
    check(&[], &["NOTES", "limits.json"], &["limits.json"], &[notes]);
    check(&[], &[], &[], &[]);
}

#[test]
fn several_documents_of_which_none_is_mimirs_are_rejected() {
    let which = |keys: &str| {
        format!(
            "data: several keys can be the runtime configuration ({keys}), and none of them is read; say which one Mimir reads: \
             --limits kube:mimir/runtime/KEY, or KEY,KEY for several that Mimir merges from left to right"
        )
    };
    check(&[], &["a.yaml", "b.yaml"], &[], &[&which("a.yaml, b.yaml")]);
    check(&[], &["a.yaml", "b.yaml.gz", "team.ingestion_rate"], &[], &[&which("a.yaml, b.yaml.gz")]);
    check(&[], &["overrides.yaml", "runtime.yaml"], &[], &[&which("overrides.yaml, runtime.yaml")]);
    check(&[], &["a", "b"], &[], &[&which("a, b")]);
}

#[test]
fn flat_keys_are_read_others_a_document_and_alone() {
    check(&[], &["a.ingestion_rate", "b.c.request_rate"], &["a.ingestion_rate", "b.c.request_rate"], &[]);
    check(&[], &["a.ingestion_rate", "runtime.yaml"], &["runtime.yaml", "a.ingestion_rate"], &[]);
    let misspelt = data(&[("a.ingestion_rte", "5\n"), ("b.ingestion_rate", "5")], &[]);
    assert_eq!(select("m/r", &[], &misspelt).documents.len(), 2, "what reads it says what was meant");
    let copy = data(&[("runtime.yaml", "overrides: {}"), ("runtime.yaml.bak", "overrides:\n  a: {}")], &[]);
    assert_eq!(select("m/r", &[], &copy).documents.len(), 1, "a copy is no flat key");
}

#[test]
fn only_chosen_keys_are_read_in_their_order() {
    let unread =
        ["a.ingestion_rate", "c.yaml"].map(|key| format!("{key}: is not read: --limits does not name this key"));
    let keys = ["a.ingestion_rate", "a.yaml", "b.yaml", "c.yaml"];
    check(&["b.yaml", "a.yaml"], &keys, &["b.yaml", "a.yaml"], &[&unread[0], &unread[1]]);
    check(&["a.yaml"], &["a.yaml"], &["a.yaml"], &[]);
    let missing =
        "d.yaml: there is no such key, and nothing is read while --limits names it; the keys are a.yaml, b.yaml";
    check(&["a.yaml", "d.yaml"], &["a.yaml", "b.yaml"], &[], &[missing]);
}

#[test]
fn binary_data_is_handed_over_as_it_is() {
    let both = data(&[("notes", "text")], &[("runtime.yaml.gz", b"\x1f\x8b")]);
    let selected = select("mimir/runtime", &[], &both);
    assert_eq!(selected.documents, [SourceDocument::new("runtime.yaml.gz", b"\x1f\x8b")]);
    let chosen = ["runtime.yaml.gz".to_owned(), "notes".to_owned()];
    assert_eq!(select("mimir/runtime", &chosen, &both).documents.len(), 2);
}

#[test]
fn problems_of_many_keys_are_bounded() {
    let keys: Vec<String> = (0..500).map(|key| format!("k{key:03}")).collect();
    let mut many = data(&[("runtime.yaml", "overrides: {}")], &[]);
    many.text.extend(keys.iter().map(|key| (key.clone(), "a: {}".to_owned())));
    let selected = select("mimir/runtime", &[], &many);
    assert_eq!(selected.problems.len(), MAX_LISTED + 1);
    assert_eq!(selected.problems[MAX_LISTED].message, "480 more keys are not read");
    many.text.remove("runtime.yaml");
    let [problem] = &select("mimir/runtime", &[], &many).problems[..] else { unreachable!("one problem") };
    assert!(problem.message.contains("k019 and 480 more"), "{problem}");
}
