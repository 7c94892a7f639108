//! The tenant header: every way to get it wrong, and the spellings of one tenant.

use e2e::{Edge, Mimir, Request, WatchedFile, noisy, push_request, samples};

const LIMITS: &str = "
overrides:
  team: { request_rate: 0.001, request_burst_size: 2 }
  a: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

/// A push with these `X-Scope-OrgID` lines.
fn push_of(tenants: &[&[u8]]) -> Request {
    let request = Request::new("POST", "/api/v1/push").header("Content-Type", "application/x-protobuf");
    tenants.iter().fold(request, |request, tenant| request.header("X-Scope-OrgID", tenant)).body(&samples(1).bytes)
}

#[test]
fn a_push_without_a_valid_tenant_is_denied() {
    let edge = Edge::start(LIMITS);
    let check = |tenants: &[&[u8]], status: u16, reason: &str, text: &str| {
        let answer = edge.send(&push_of(tenants));
        let shown: Vec<_> = tenants.iter().map(|tenant| String::from_utf8_lossy(tenant)).collect();
        assert_eq!((answer.status, answer.reason().as_deref()), (status, Some(reason)), "{shown:?}: {}", answer.text());
        assert!(answer.text().contains(text), "{shown:?}: {}", answer.text());
    };
    check(&[], 401, "tenant_missing", "no org id");
    check(&[b""], 401, "tenant_missing", "no org id");
    check(&[b"a,b"], 401, "tenant_invalid", "tenant ID 'a,b' contains unsupported character ','");
    check(&[b"a\xff"], 401, "tenant_invalid", "contains unsupported character");
    check(&[b"a b"], 401, "tenant_invalid", "contains unsupported character ' '");
    check(&[b"a/b"], 401, "tenant_invalid", "contains unsupported character '/'");
    check(&["\u{e4}".as_bytes()], 401, "tenant_invalid", "contains unsupported character");
    check(&[b"."], 401, "tenant_invalid", "tenant ID is '.' or '..'");
    check(&[b".."], 401, "tenant_invalid", "tenant ID is '.' or '..'");
    check(&[&[b'a'; 151]], 401, "tenant_invalid", "tenant ID is too long: max 150 characters");
    check(&[b"a|b"], 422, "too_many_tenants", "too many tenant IDs present in the request. max: 1 actual: 2");
    check(&[b"a", b"b"], 400, "tenant_header_repeated", "X-Scope-OrgID");
    check(&[b"a", b"a", b"b"], 400, "tenant_header_repeated", "X-Scope-OrgID");
    check(&[b"", b""], 401, "tenant_missing", "no org id");
    check(&[b"", b"a"], 400, "tenant_header_repeated", "X-Scope-OrgID");
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn the_default_tenants_pushes_share_a_bucket_and_pass_unchanged() {
    let edge = Edge::builder()
        .rls_arguments(&["--default-tenant=anonymous"])
        .start("overrides: { anonymous: { ingestion_rate: 0.001, ingestion_burst_size: 5 } }");
    let all: [&[&[u8]]; 6] = [&[], &[b""], &[], &[b"", b""], &[], &[]];
    let statuses = all.map(|tenants| edge.send(&push_of(tenants)).status);
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    let arrivals = edge.upstream.requests();
    let named = arrivals.iter().flat_map(|arrival| arrival.headers.all("x-scope-orgid")).any(|value| !value.is_empty());
    assert_eq!((arrivals.len(), named), (5, false));
}

#[test]
fn a_mimir_without_multitenancy_has_one_bucket_for_all_names() {
    let (folder, limits) = (tempfile::tempdir().expect("a folder can be made"), WatchedFile::of("overrides: {}"));
    let flags = ["-auth.multitenancy-enabled=false"];
    let mimir = Mimir::start_with(&folder.path().join("mimir"), &limits.path(), &flags);
    let edge = Edge::builder()
        .replicas(3)
        .envoy_value("mimir.singleTenant", "anonymous")
        .upstream(mimir.port())
        .start("overrides: { anonymous: { ingestion_rate: 0.001, ingestion_burst_size: 12 } }");
    let invented: Vec<String> = (0..40).map(|number| format!("x{number}")).collect();
    let odd: [&[&[u8]]; 8] =
        [&[], &[b""], &[b"a", b"b"], &[b"a/b"], &[b"a|b"], &[b"a:k=v"], &[b"a\xff"], &[b"anonymous"]];
    let named = invented.iter().map(|name| edge.send(&push_of(&[name.as_bytes()])).status);
    let statuses: Vec<u16> = odd.iter().map(|tenants| edge.send(&push_of(tenants)).status).chain(named).collect();
    let expected: Vec<u16> = [200; 12].into_iter().chain([429; 36]).collect();
    assert_eq!(statuses, expected);
    let page = mimir.metrics();
    let ingested: Vec<&str> =
        page.lines().filter(|line| line.starts_with("cortex_distributor_received_samples_total{")).collect();
    assert_eq!(ingested, [r#"cortex_distributor_received_samples_total{user="anonymous"} 12"#]);
}

#[test]
fn a_valid_tenant_is_forwarded_as_spelled() {
    let edge = Edge::start(LIMITS);
    let legal: [&[u8]; 4] = [b"b", b"b|b", b"0!-_.*'()", &[b'x'; 150]];
    for tenant in legal {
        assert_eq!(edge.send(&push_of(&[tenant])).status, 200, "{}", String::from_utf8_lossy(tenant));
    }
    let arrived: Vec<Vec<u8>> = edge
        .upstream
        .requests()
        .iter()
        .map(|arrival| arrival.headers.all("x-scope-orgid").collect::<Vec<_>>().concat())
        .collect();
    assert_eq!(arrived, legal);
}

#[test]
fn a_tenant_sent_twice_with_one_value_has_one_bucket() {
    let edge = Edge::builder().replicas(3).start(LIMITS);
    let status = |tenants: &[&[u8]]| edge.send(&push_of(tenants)).status;
    let statuses = [
        status(&[b"team", b"team"]),
        status(&[b"team"]),
        status(&[b"team"]),
        status(&[b"team", b"team", b"team"]),
        status(&[b"team", b"team"]),
    ];
    // The bucket has two tokens in one of three mimir-rls.
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
}

#[test]
fn all_spellings_of_a_tenant_share_its_request_bucket() {
    let edge = Edge::start(LIMITS);
    let statuses = ["team|team", "team:k=v", "team", "team|team|team", "team:k=w"]
        .map(|tenant| edge.push(tenant, &samples(1).bytes).status);

    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    assert_eq!(edge.upstream.requests().len(), 2);
}

#[test]
fn no_wrong_header_frees_a_tenant_over_its_limit() {
    let edge = Edge::start(LIMITS);
    let body = samples(10).bytes;
    assert_eq!(edge.push("a", &body).status, 429);
    for tenants in [&["a", "b"] as &[&str], &["b", "a"], &["a,b"], &["a|a"], &["a "], &[" a"], &["a|"]] {
        let request = Request::new("POST", "/api/v1/push").header("Content-Type", "application/x-protobuf").body(&body);
        let request = tenants.iter().fold(request, |request, tenant| request.header("X-Scope-OrgID", tenant));
        let status = edge.send(&request).status;
        assert!(matches!(status, 400 | 401 | 422 | 429), "{tenants:?}: {status}");
    }
    // `X_Scope_OrgID` is another header to Mimir too.
    let misspelt = push_request("a", &body).header("X_Scope_OrgID", "b");
    assert_eq!(edge.send(&misspelt).status, 429);
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_very_long_tenant_header_is_checked_when_failing_open() {
    let edge = Edge::builder().failing_open().start(LIMITS);
    let long = vec!["a"; 14_000].join("|");
    let denied = edge.send(&push_of(&[long.as_bytes()]).body(&samples(6).bytes));
    assert_eq!((denied.status, denied.reason().as_deref()), (429, Some("ingestion_burst")), "{}", denied.text());
    assert_eq!(edge.upstream.requests().len(), 0);
}

#[test]
fn a_repeated_header_is_not_admitted_as_its_first_tenant() {
    let edge = Edge::builder()
        .edge_config("{ mode: enforce, tenants: { lax: { mode: shadow } } }")
        .rls_arguments(&["--max-request-bytes=100000"])
        .start(LIMITS);
    let large = noisy(3_000_000).bytes;
    assert_eq!(edge.send(&push_of(&[b"lax"]).body(&large)).status, 200);
    // The same value twice is that tenant.
    assert_eq!(edge.send(&push_of(&[b"lax", b"lax"]).body(&large)).status, 200);
    for tenants in [&[b"lax" as &[u8], b"a"] as &[&[u8]], &[b"a", b"lax"], &[b"lax", b"lax", b"a"], &[b"", b"lax"]] {
        let denied = edge.send(&push_of(tenants).header("X-Mimir-Edge-Tenants", "lax").body(&large));
        assert_eq!(denied.status, 413, "{tenants:?}: {}", denied.text());
    }
    let forged = push_request("a", &large).header("X-Mimir-Edge-Tenants", "lax");
    assert_eq!(edge.send(&forged).status, 413);
    let arrivals = edge.upstream.requests();
    assert_eq!(arrivals.len(), 2);
    assert!(arrivals.iter().all(|arrival| arrival.headers.get("x-mimir-edge-tenants").is_none()));
}
