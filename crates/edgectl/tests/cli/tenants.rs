//! `edgectl tenants`: lists of several replicas, and one tenant.

use serde_json::{Value, json};

use crate::replica::{Replica, details};
use crate::{Finished, run};

const FIRST: &str = "GET /api/v1/tenants?limit=1000";

fn row(tenant: &str, mode: &str, has_buckets: bool, limits: Value) -> Value {
    let overridden = limits != json!({});
    json!({ "tenant": tenant, "mode": mode, "overridden": overridden, "has_buckets": has_buckets, "limits": limits })
}

fn page(rows: &[Value], next: Option<&str>) -> Value {
    let defaults = json!({ "ingestion_rate": 10000, "ingestion_burst_size": 200_000, "request_rate": 0 });
    json!({ "tenants": rows, "default_limits": defaults, "next": next })
}

fn list(replicas: &[Replica], more: &[&str]) -> Finished {
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.url.as_str()).collect();
    run(&[&["tenants", "--address", &addresses.join(",")], more].concat())
}

#[test]
fn all_pages_of_all_replicas_are_one_list() {
    let fast = || json!({ "ingestion_rate": 50000, "request_rate": 2.5 });
    let replicas = [
        Replica::of(&[
            (FIRST, page(&[row("a", "enforce", false, fast()), row("b", "shadow", true, json!({}))], Some("b"))),
            ("GET /api/v1/tenants?limit=1000&after=b", page(&[row("c:k=v", "off", false, json!({}))], Some("c:k=v"))),
            ("GET /api/v1/tenants?limit=1000&after=c%3Ak%3Dv", page(&[row("d", "off", false, json!({}))], None)),
        ]),
        Replica::of(&[(FIRST, page(&[row("a", "enforce", true, fast()), row("z", "enforce", true, json!({}))], None))]),
    ];
    let finished = list(&replicas, &[]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    let [one, two] = replicas.each_ref().map(|replica| replica.url.as_str());
    let expected = format!(
        "\
TENANT  MODE     RATE   BURST   REQUEST RATE  OVERRIDDEN  REPLICA
a       enforce  50000  200000  2.5           yes         {two}
b       shadow   10000  200000  -             no          {one}
c:k=v   off      10000  200000  -             no          -
d       off      10000  200000  -             no          -
z       enforce  10000  200000  -             no          {two}
5 tenants
"
    );
    assert_eq!(finished.out, expected);
    let listed = list(&replicas, &["-o", "json"]).json();
    assert_eq!(listed["tenants"][0]["replicas"], json!([two]));
    assert_eq!((&listed["tenants"][0]["limits"], &listed["default_limits"]["request_rate"]), (&fast(), &json!(0)));
}

#[test]
fn replicas_that_differ_are_pointed_out() {
    let of_rate = |rate: u32| {
        Replica::of(&[(FIRST, page(&[row("a", "enforce", false, json!({ "ingestion_rate": rate }))], None))])
    };
    let finished = list(&[of_rate(5), of_rate(6)], &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.err.contains("different limits or modes, for example of a: "), "{finished:?}");
}

#[test]
fn a_list_that_never_ends_is_left() {
    let replica = Replica::start(|_| {
        axum::response::IntoResponse::into_response(
            page(&[row("a", "enforce", false, json!({}))], Some("a")).to_string(),
        )
    });
    let finished = list(std::slice::from_ref(&replica), &[]);
    assert_eq!((finished.code, replica.asked().len()), (Some(69), 2), "{finished:?}");
    assert!(finished.err.contains("is not the next one"), "{finished:?}");
}

#[test]
fn a_tenant_is_shown_with_the_buckets_of_its_replica() {
    const TENANT: &str = "GET /api/v1/tenants/team-a";
    let replicas = [Replica::of(&[(TENANT, details(false, 2000.0))]), Replica::of(&[(TENANT, details(true, 1234.56))])];
    let addresses = replicas.each_ref().map(|replica| replica.url.as_str()).join(",");
    let shown = run(&["tenants", "team-a", "--address", &addresses]);
    let expected = format!(
        "\
tenant      team-a
mode        enforce
overridden  yes
replica     {} has its buckets

BUCKET     RATE       BURST  CAPACITY  TOKENS  FILL
request    unlimited  -      -         -       -
ingestion  1000/s     2000   2000      1234.6  61.7 %

LIMIT                   VALUE
ingestion_burst_size    2000
ingestion_rate          1000
request_rate            0
max_series_per_request  500
",
        replicas[1].url
    );
    assert_eq!((shown.code, shown.out), (Some(0), expected), "{}", shown.err);
    let yaml = run(&["tenants", "team-a", "--address", &addresses, "-o", "yaml"]);
    assert!(yaml.out.contains("\nhas_buckets: true\n") && yaml.out.contains("\n  tokens: 1234.56\n"), "{yaml:?}");
}
