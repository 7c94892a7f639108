//! The rate limit service, and what it shares with Check.

use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use proto::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use proto::well_known::value::Kind;
use remote_write::Protocol;

use crate::support::{Server, samples};

const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 0.001, ingestion_burst_size: 100, request_rate: 0.001, request_burst_size: 10 }
  free: { ingestion_rate: 1.7976931348623157e308 }
";

fn descriptor(key: &str, value: &str, hits_addend: Option<u64>) -> RateLimitDescriptor {
    let entry = Entry { key: key.to_owned(), value: value.to_owned().into() };
    RateLimitDescriptor { entries: vec![entry], hits_addend, ..RateLimitDescriptor::default() }
}

async fn ask(
    server: &Server,
    descriptors: Vec<RateLimitDescriptor>,
    hits_addend: u32,
) -> anyhow::Result<RateLimitResponse> {
    server.rate_limit(RateLimitRequest { domain: "mimir".to_owned(), descriptors, hits_addend }).await
}

fn codes(response: &RateLimitResponse) -> Vec<Code> {
    response.statuses.iter().map(DescriptorStatus::code).collect()
}

#[tokio::test]
async fn check_and_should_rate_limit_drain_one_bucket() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let asked = server.should_rate_limit("tenant", "t", 60).await?;
    assert_eq!(asked.overall_code(), Code::Ok);
    assert_eq!(asked.statuses[0].limit_remaining, 40);
    assert_eq!(server.push("t|t", samples(Protocol::V1, 41)).await?.status, 429);
    assert_eq!(server.push("t", samples(Protocol::V1, 40)).await?.status, 200);
    assert_eq!(server.should_rate_limit("tenant", "t", 1).await?.overall_code(), Code::OverLimit);

    // Two pushes have paid a request each.
    assert_eq!(server.should_rate_limit("tenant_requests", "t|t", 8).await?.overall_code(), Code::Ok);
    assert_eq!(server.push("t", vec![]).await?.header("x-mimir-edge-reason"), Some("request_rate"));
    Ok(())
}

#[tokio::test]
async fn a_denial_is_mimirs_answer_with_a_status() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let denied = server.should_rate_limit("tenant", "t", 101).await?;
    assert_eq!(denied.overall_code(), Code::OverLimit);
    let text = String::from_utf8(denied.raw_body.to_vec())?;
    assert_eq!(text, server.push("t", samples(Protocol::V1, 101)).await?.body);
    let header = |name: &str| {
        let found = denied.response_headers_to_add.iter().find(|header| header.key == name);
        found.map(|header| String::from_utf8_lossy(&header.value).into_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(header("x-mimir-edge-reason").as_deref(), Some("ingestion_burst"));
    assert!(header("retry-after").is_some_and(|seconds| (6..=9).contains(&seconds.parse().unwrap_or(0))));
    let limit = denied.statuses[0].current_limit.clone().unwrap_or_default();
    assert_eq!((limit.requests_per_unit, limit.unit(), limit.name.as_str()), (3, Unit::Hour, "ingestion_rate"));
    assert_eq!(denied.statuses[0].limit_remaining, 100);
    Ok(())
}

#[tokio::test]
async fn hits_are_the_descriptors_else_the_requests_else_one() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for (own, of_request, left) in [(Some(7), 50, 93), (None, 50, 43), (None, 0, 42), (Some(0), 50, 42)] {
        let response = ask(&server, vec![descriptor("tenant", "t", own)], of_request).await?;
        assert_eq!(response.statuses[0].limit_remaining, left, "{own:?} {of_request}");
    }
    Ok(())
}

#[tokio::test]
async fn a_push_over_its_request_rate_pays_no_samples() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let both = vec![descriptor("tenant", "t", Some(60)), descriptor("tenant_requests", "t", Some(11))];
    let denied = ask(&server, both, 0).await?;
    assert_eq!((denied.overall_code(), codes(&denied)), (Code::OverLimit, vec![Code::Ok, Code::OverLimit]));
    assert_eq!(server.should_rate_limit("tenant", "t", 100).await?.overall_code(), Code::Ok);
    Ok(())
}

#[tokio::test]
async fn what_is_not_ours_is_not_limited_and_counted() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let strange = vec![
        descriptor("remote_address", "t", Some(1_000)),
        descriptor("tenant", "a/b", Some(1_000)),
        descriptor("tenant", "", Some(1_000)),
        RateLimitDescriptor::default(),
    ];
    let response = ask(&server, strange, 0).await?;
    assert_eq!((response.overall_code(), codes(&response)), (Code::Ok, vec![Code::Ok; 4]));
    let elsewhere = RateLimitRequest {
        domain: "other".to_owned(),
        descriptors: vec![descriptor("tenant", "t", Some(1_000))],
        hits_addend: 0,
    };
    assert_eq!(server.rate_limit(elsewhere).await?.overall_code(), Code::Ok);
    let series = r#"rls_rate_limit_descriptors_total{code="ok",descriptor="unknown"}"#;
    assert_eq!(server.metric(series).await?, Some(5.0));
    assert_eq!(server.should_rate_limit("tenant", "free", u64::MAX).await?.overall_code(), Code::Ok);
    Ok(())
}

#[tokio::test]
async fn modes_hold_here_too() -> anyhow::Result<()> {
    let config = "{ mode: enforce, tenants: { t: { mode: shadow } } }";
    let server = Server::start_with(LIMITS, config, &[]).await?;
    let response = server.should_rate_limit("tenant", "t", 101).await?;
    assert_eq!((response.overall_code(), response.raw_body.len()), (Code::Ok, 0));
    assert!(response.response_headers_to_add.is_empty());
    let series = r#"rls_decisions_total{decision="deny",mode="shadow",reason="ingestion_burst"}"#;
    assert_eq!(server.metric(series).await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn check_tells_the_cost_where_the_rate_limit_call_charges() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--charge-samples-in=rate-limit"]).await?;
    let cost = async |tenant: &str, body: Vec<u8>| -> anyhow::Result<Option<String>> {
        let response = server.ask(&[("x-scope-orgid", tenant)], body).await?;
        let value = response.dynamic_metadata.and_then(|mut metadata| metadata.fields.remove("samples_str"));
        Ok(value.and_then(|value| match value.kind {
            Some(Kind::StringValue(text)) => Some(text),
            _ => None,
        }))
    };
    assert_eq!(cost("t", samples(Protocol::V1, 60)).await?.as_deref(), Some("60"));
    assert_eq!(cost("t", samples(Protocol::V1, 60)).await?.as_deref(), Some("60"), "nothing was charged");
    assert_eq!(cost("t", vec![]).await?, None, "nothing to charge");
    assert_eq!(server.should_rate_limit("tenant", "t", 100).await?.overall_code(), Code::Ok);
    for _ in 3..10 {
        assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 200);
    }
    assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 429, "requests are charged by Check");

    let server = Server::start(LIMITS, &[]).await?;
    let response = server.ask(&[("x-scope-orgid", "t")], samples(Protocol::V1, 60)).await?;
    let metadata = response.dynamic_metadata.unwrap_or_default();
    let names: Vec<&String> = metadata.fields.keys().collect();
    assert_eq!(names, ["charge"], "Check charges: a filter that is there by mistake must not, and finds no cost");
    Ok(())
}

#[tokio::test]
async fn a_push_counts_once_whichever_call_charges_it() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--charge-samples-in=rate-limit"]).await?;
    for (samples_of_push, code) in [(60, Code::Ok), (101, Code::OverLimit)] {
        assert_eq!(server.push("t", samples(Protocol::V1, samples_of_push)).await?.status, 200);
        let hits = u64::try_from(samples_of_push)?;
        assert_eq!(server.should_rate_limit("tenant", "t", hits).await?.overall_code(), code);
    }
    let decisions = |decision: &str, reason: &str| {
        format!(r#"rls_decisions_total{{decision="{decision}",mode="enforce",reason="{reason}"}}"#)
    };
    assert_eq!(server.metric(&decisions("allow", "within_limits")).await?, Some(1.0));
    assert_eq!(server.metric(&decisions("deny", "ingestion_burst")).await?, Some(1.0));
    assert_eq!(server.metric("rls_left_to_rate_limit_total").await?, Some(2.0));
    for (decision, items) in [("allow", 60.0), ("deny", 101.0)] {
        assert_eq!(server.metric(&format!(r#"rls_samples_total{{decision="{decision}"}}"#)).await?, Some(items));
        let own = format!(r#"rls_tenant_decisions_total{{decision="{decision}",tenant="t"}}"#);
        assert_eq!(server.metric(&own).await?, Some(1.0));
    }
    Ok(())
}

#[tokio::test]
async fn two_descriptors_of_one_push_are_one_decision() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let both = || vec![descriptor("tenant_requests", "t", None), descriptor("tenant", "t", Some(60))];
    assert_eq!(ask(&server, both(), 0).await?.overall_code(), Code::Ok);
    assert_eq!(ask(&server, both(), 0).await?.overall_code(), Code::OverLimit);
    let (_, text) = server.page("/metrics").await?;
    let decisions = text.lines().filter(|line| line.starts_with("rls_decisions_total{"));
    let sum: f64 = decisions.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert_eq!(sum, 2.0);
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_too_large_gets_a_response() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let response = ask(&server, vec![descriptor("tenant", &"x".repeat(300_000), None)], 0).await?;
    assert_eq!(response.overall_code(), Code::OverLimit);
    assert!(String::from_utf8_lossy(&response.raw_body).contains("err-edge-max-request-bytes"));
    Ok(())
}

#[tokio::test]
async fn each_tenant_of_a_call_uses_its_own_mode() -> anyhow::Result<()> {
    let limits = format!("{LIMITS}  u: {{ ingestion_rate: 0.001, ingestion_burst_size: 100 }}\n");
    let config = "{ mode: enforce, tenants: { t: { mode: shadow }, out: { mode: off } } }";
    for (first, second) in [("t", "u"), ("u", "t")] {
        let server = Server::start_with(&limits, config, &[]).await?;
        let both = vec![descriptor("tenant", first, Some(101)), descriptor("tenant", second, Some(101))];
        let response = ask(&server, both, 0).await?;
        assert_eq!(response.overall_code(), Code::OverLimit, "{first} first: u is over its limit and enforced");
        let denied =
            |mode: &str| format!(r#"rls_decisions_total{{decision="deny",mode="{mode}",reason="ingestion_burst"}}"#);
        assert_eq!(server.metric(&denied("enforce")).await?, Some(1.0), "{first} first");
        // Once u is denied, the push goes nowhere, and nothing more is asked of it.
        let seen = if first == "t" { 1.0 } else { 0.0 };
        assert_eq!(server.metric(&denied("shadow")).await?, Some(seen), "{first} first");
    }
    let server = Server::start_with(&limits, config, &[]).await?;
    let all = ["out", "t", "u"].map(|tenant| descriptor("tenant", tenant, Some(60)));
    assert_eq!(ask(&server, all.to_vec(), 0).await?.overall_code(), Code::Ok);
    for (mode, reason) in [("off", "mode_off"), ("shadow", "within_limits"), ("enforce", "within_limits")] {
        let series = format!(r#"rls_decisions_total{{decision="allow",mode="{mode}",reason="{reason}"}}"#);
        assert_eq!(server.metric(&series).await?, Some(1.0), "{mode}");
    }
    for tenant in ["out", "t", "u"] {
        let own = format!(r#"rls_tenant_decisions_total{{decision="allow",tenant="{tenant}"}}"#);
        assert_eq!(server.metric(&own).await?, Some(1.0), "{tenant}");
    }
    Ok(())
}

#[tokio::test]
async fn without_limits_a_call_in_shadow_counts_as_such() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("edge.yaml");
    std::fs::write(&path, "mode: shadow")?;
    let flag = format!("--edge-config={}", path.display());
    let server = Server::start_in(folder, None, &[&flag]).await?;
    assert_eq!(server.should_rate_limit("tenant", "t", 60).await?.overall_code(), Code::Ok);
    let allowed = |reason: &str| format!(r#"rls_decisions_total{{decision="allow",mode="shadow",reason="{reason}"}}"#);
    assert_eq!(server.metric(&allowed("no_limits")).await?, Some(1.0));
    assert_eq!(server.metric(&allowed("within_limits")).await?, Some(0.0));
    Ok(())
}
