use super::*;

fn limits(rate: f64, burst: i64) -> TenantLimits {
    TenantLimits { ingestion_rate: rate, ingestion_burst_size: burst, ..TenantLimits::default() }
}

fn tenants(of: &[(&str, TenantLimits)]) -> Vec<(String, TenantLimits)> {
    of.iter().map(|(name, limits)| ((*name).to_owned(), limits.clone())).collect()
}

#[track_caller]
fn check(
    here: (&[(&str, TenantLimits)], TenantLimits),
    there: (&[(&str, TenantLimits)], TenantLimits),
    expected: &[&str],
) {
    let (own, theirs) = (tenants(here.0), tenants(there.0));
    let here = Configuration { limits: &own, defaults: &here.1 };
    let there = Configuration { limits: &theirs, defaults: &there.1 };
    let found: Vec<_> = differences("a.yaml", &here, &there).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_field_that_differs_is_one_problem() {
    let defaults = limits(10.0, 20);
    check((&[("a", limits(1.0, 2))], defaults.clone()), (&[("a", limits(1.0, 2))], defaults.clone()), &[]);
    check(
        (&[("a", limits(1.0, 2)), ("b", limits(1.0, 2))], defaults.clone()),
        (&[("a", limits(3.0, 4)), ("b", limits(1.0, 4))], defaults.clone()),
        &[
            "a.yaml: tenant a: field ingestion_burst_size is 2 here and 4 in Mimir",
            "a.yaml: tenant a: field ingestion_rate is 1 here and 3 in Mimir",
            "a.yaml: tenant b: field ingestion_burst_size is 2 here and 4 in Mimir",
        ],
    );
}

#[test]
fn an_unnamed_tenant_has_the_defaults() {
    let defaults = limits(10.0, 20);
    let same = defaults.clone();
    check(
        (&[("mine", limits(1.0, 20)), ("empty", same.clone())], defaults.clone()),
        (&[("theirs", limits(3.0, 20)), ("hollow", same)], defaults),
        &[
            "a.yaml: tenant mine: field ingestion_rate is 1 here and 10 in Mimir, which has no override of it",
            "a.yaml: tenant theirs: field ingestion_rate is 10 here, where it has no override, and 3 in Mimir",
        ],
    );
}

#[test]
fn a_difference_of_the_defaults_is_reported_once() {
    check(
        (&[("a", limits(10.0, 2)), ("b", limits(7.0, 20))], limits(10.0, 20)),
        (&[("a", limits(50.0, 2)), ("b", limits(7.0, 20))], limits(50.0, 20)),
        &["a.yaml: field ingestion_rate of the default limits is 10 here and 50 in Mimir"],
    );
    check(
        (&[("a", limits(10.0, 2))], limits(10.0, 20)),
        (&[("a", limits(60.0, 2))], limits(50.0, 20)),
        &[
            "a.yaml: field ingestion_rate of the default limits is 10 here and 50 in Mimir",
            "a.yaml: tenant a: field ingestion_rate is 10 here and 60 in Mimir",
        ],
    );
}

#[test]
fn more_differences_than_are_listed_are_counted() {
    let many: Vec<_> = (0..MAX_PROBLEMS + 5).map(|number| (format!("{number}"), limits(1.0, 20))).collect();
    let here = Configuration { limits: &many, defaults: &limits(10.0, 20) };
    let there = Configuration { limits: &[], defaults: &limits(10.0, 20) };
    let found = differences("a.yaml", &here, &there);
    assert_eq!(found.len(), MAX_PROBLEMS);
    assert_eq!(found.last().map(ToString::to_string).as_deref(), Some("a.yaml: 6 more differences are not listed"));
}

#[test]
fn a_release_is_read_from_mimirs_answer() {
    let answer = |version: &str| format!(r#"{{"status":"success","data":{{"version":"{version}","revision":"x"}}}}"#);
    for (version, is_one) in
        [("3.0.1", true), ("2.17.0-rc.1", true), ("v3.1.0", true), ("aced80d74930", false), ("", false)]
    {
        assert_eq!(release(answer(version).as_bytes()).is_some(), is_one, "{version}");
    }
    assert!(release(b"404 page not found").is_none());
}
