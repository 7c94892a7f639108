use super::*;

#[track_caller]
fn check<T: fmt::Display>(text: &str, read: Result<T, ObjectNameError>, expected: Result<(), &str>) {
    match expected {
        Ok(()) => assert_eq!(read.unwrap_or_else(|error| unreachable!("{error}")).to_string(), text),
        Err(part) => {
            let error = read.err().unwrap_or_else(|| unreachable!("{text} is read")).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

#[track_caller]
fn check_configmap(text: &str, expected: Result<(), &str>) {
    check(text, text.parse::<ConfigMapSpec>(), expected);
}

#[track_caller]
fn check_service(text: &str, expected: Result<(), &str>) {
    check(text, NamespacedName::of_service(text), expected);
}

#[test]
fn reads_what_kubernetes_takes_and_says_what_it_does_not() {
    let longest = format!("a/{}", "b".repeat(253));
    check_configmap("mimir/mimir-runtime", Ok(()));
    check_configmap("0/a.b-c.9", Ok(()));
    check_configmap(&longest, Ok(()));
    check_configmap(&format!("{longest}b"), Err("1 to 253 characters out of a-z, 0-9, - and ."));
    check_configmap("mimir-runtime", Err("write NAMESPACE/NAME"));
    check_configmap("/a", Err("is no namespace"));
    check_configmap("a.b/c", Err("is no namespace"));
    check_configmap(&format!("{}/c", "a".repeat(64)), Err("is no namespace"));
    for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a b", "ä"] {
        check_configmap(&format!("a/{name}"), Err("is no name of a ConfigMap"));
    }
    check_service("mimir/mimir-distributor", Ok(()));
    check_service(&format!("a/{}", "b".repeat(63)), Ok(()));
    for name in ["", "a.b", "A", &"b".repeat(64)] {
        check_service(&format!("a/{name}"), Err("is no name of a Service: it takes 1 to 63 characters"));
    }
}

#[track_caller]
fn check_spec(text: &str, shown: &str, keys: &[&str]) -> ConfigMapSpec {
    let spec: ConfigMapSpec = text.parse().unwrap_or_else(|error| unreachable!("{text}: {error}"));
    assert_eq!((spec.to_string().as_str(), spec.keys.as_slice()), (shown, owned(keys).as_slice()));
    spec
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_name_or_a_label_and_keys_are_read() {
    assert_eq!(check_spec("mimir/runtime", "mimir/runtime", &[]).name(), Some("runtime"));
    check_spec("mimir/runtime/a.yaml", "mimir/runtime", &["a.yaml"]);
    check_spec("mimir/runtime/b.yaml,a_B-1.yaml", "mimir/runtime", &["b.yaml", "a_B-1.yaml"]);
    assert_eq!(check_spec("mimir/app=runtime", "mimir/app=runtime", &[]).name(), None);
    check_spec("mimir/app=runtime/a.yaml", "mimir/app=runtime", &["a.yaml"]);
    let spec = check_spec("m/app.kubernetes.io/name=run_Time/a,b", "m/app.kubernetes.io/name=run_Time", &["a", "b"]);
    assert_eq!(spec.selector.label_selector().as_deref(), Some("app.kubernetes.io/name=run_Time"));
    check_spec("m/app=", "m/app=", &[]);
}

#[test]
fn what_kubernetes_does_not_take_is_rejected() {
    let rejected = |text: &str| text.parse::<ConfigMapSpec>().map_err(|error| error.to_string()).unwrap_err();
    for text in ["m/n/", "m/n/a,,b", "m/n/a/b", "m/n/a b", "m/a=b/", "m/a=b/c=d"] {
        assert!(rejected(text).contains("is no key of a ConfigMap"), "{text}: {}", rejected(text));
    }
    for text in ["m/=b", "m/a =b", "m/-a=b", "m/a/b/c=d", "m/A/b=c", "m/a=b c", "m/a=-b", "m/a=b,c=d"] {
        assert!(rejected(text).contains("is no label"), "{text}: {}", rejected(text));
    }
    assert!(rejected("m/N").contains("is no name of a ConfigMap"));
    assert!(rejected("M/n").contains("is no namespace"));
    assert!(rejected("n").contains("has no slash"));
}

#[test]
fn a_configmap_is_selected_by_namespace_and_name_or_label() {
    let labels = |value: &str| BTreeMap::from([("app".to_owned(), value.to_owned())]);
    let by_name = check_spec("mimir/runtime", "mimir/runtime", &[]);
    assert!(by_name.selects("mimir", "runtime", &labels("x")) && !by_name.selects("mimir", "other", &labels("x")));
    let by_label = check_spec("mimir/app=x", "mimir/app=x", &[]);
    assert!(by_label.selects("mimir", "any", &labels("x")) && !by_label.selects("mimir", "any", &labels("y")));
    assert!(!by_label.selects("other", "any", &labels("x")) && !by_label.selects("mimir", "x", &BTreeMap::new()));
}
