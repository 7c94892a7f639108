use limits::Code;

use super::*;

fn configmap(name: &str) -> NamespacedName {
    NamespacedName { namespace: "mimir".to_owned(), name: name.to_owned() }
}

fn origin(uid: &str) -> ObjectRevision {
    ObjectRevision { uid: uid.into(), resource_version: "7".into() }
}

fn problem(severity: Severity, message: &str) -> Problem {
    let (document, message) = ("runtime.yaml".to_owned(), message.to_owned());
    Problem {
        code: Code::BadValue,
        document,
        tenant: Some("a".to_owned()),
        field: None,
        line: Some(3),
        severity,
        message,
        mimir: None,
    }
}

fn only(problem: Problem) -> Note {
    notes(&configmap("mimir-runtime"), &origin("u"), &[problem]).remove(0)
}

#[test]
fn an_event_has_the_problems_text_and_regards_the_configmap() -> serde_json::Result<()> {
    let note = only(problem(Severity::Rejected, "field ingestion_rate is wrong"));
    let observed = MicroTime(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    let event = serde_json::to_value(note.event(&configmap("mimir-runtime"), &origin("u"), "pod-1", observed))?;
    let expected = serde_json::json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": note.name, "namespace": "mimir" },
        "regarding": { "apiVersion": "v1", "kind": "ConfigMap", "namespace": "mimir", "name": "mimir-runtime", "uid": "u" },
        "type": "Warning",
        "reason": "InvalidOverrides",
        "action": "RejectDocument",
        "note": "runtime.yaml:3: tenant a: field ingestion_rate is wrong",
        "eventTime": "1970-01-01T00:00:00.000000Z",
        "reportingController": "mimir-edge/overrides-sync",
        "reportingInstance": "pod-1",
    });
    assert_eq!(event, expected);
    Ok(())
}

#[test]
fn each_problem_of_each_object_has_its_own_event_name() {
    let name = |uid: &str, problem: Problem| notes(&configmap("c"), &origin(uid), &[problem]).remove(0).name;
    let first = name("u", problem(Severity::Kept, "wrong"));
    assert!(first.len() == 18 && first.starts_with("c."), "{first}");
    assert_eq!(name("u", problem(Severity::Kept, "wrong")), first);
    assert_ne!(name("v", problem(Severity::Kept, "wrong")), first);
    assert_ne!(name("u", problem(Severity::Shadowed, "wrong")), first);
    assert_ne!(name("u", problem(Severity::Kept, "worse")), first);
    assert_ne!(name("u", Problem { line: Some(4), ..problem(Severity::Kept, "wrong") }), first);
}

#[test]
fn a_name_fits_with_the_longest_name_of_a_configmap() {
    for cut_at in ["a", "-", "."] {
        let long = format!("{}{}{}", "a".repeat(235), cut_at, "b".repeat(17));
        let name = &notes(&configmap(&long), &origin("u"), &[problem(Severity::Kept, "wrong")]).remove(0).name;
        assert!(name.len() <= 253 && !name.contains("..") && !name.contains("-."), "{name}");
        assert!(format!("n/{name}").parse::<limits_source::ConfigMapSpec>().is_ok(), "{name}");
    }
}

#[test]
fn a_note_has_at_most_1024_bytes_and_whole_characters() {
    let longest = "x".repeat(998);
    assert!(only(problem(Severity::Kept, &longest)).text.ends_with(&longest));
    let long = only(problem(Severity::Kept, &"ä".repeat(2_000))).text;
    assert!((1_022..=1_024).contains(&long.len()) && long.ends_with("ä…"), "{}", long.len());
}

#[test]
fn the_worst_come_first_and_the_rest_is_a_number() {
    let many = (0..60).map(|number| problem(Severity::Ignored, &format!("number {number}")));
    let all: Vec<_> = many.chain([problem(Severity::Rejected, "bad"), problem(Severity::Kept, "old")]).collect();
    let notes = notes(&configmap("c"), &origin("u"), &all);
    let reasons: Vec<_> = notes.iter().map(|note| note.reason).collect();
    assert_eq!(notes.len(), MAX_PROBLEMS + 1);
    assert_eq!(reasons[..3], ["InvalidOverrides", "LastGoodLimitsKept", "OverrideIgnored"]);
    assert_eq!(reasons[50], "MoreProblems");
    assert!(notes[50].text.starts_with("12 more problems"), "{}", notes[50].text);
    assert_eq!(notes[2].text, "runtime.yaml:3: tenant a: number 0");
}

#[test]
fn what_is_found_twice_is_reported_once() {
    let twice = [problem(Severity::Kept, "wrong"), problem(Severity::Kept, "wrong")];
    assert_eq!(notes(&configmap("c"), &origin("u"), &twice).len(), 1);
}

#[test]
fn problems_of_reaching_the_configmap_cause_no_event() {
    let unread = Problem { document: "mimir/c".to_owned(), ..problem(Severity::Kept, "the ConfigMap cannot be read") };
    assert_eq!(notes(&configmap("c"), &origin("u"), &[unread]), []);
}
