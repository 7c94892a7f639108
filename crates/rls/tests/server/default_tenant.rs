//! `--default-tenant`: pushes without `X-Scope-OrgID` are decided as those of one tenant.

use http::Request;
use remote_write::Protocol;

use crate::support::{Answer, Server, samples};

const LIMITS: &str = "overrides: { anonymous: { ingestion_rate: 0.001, ingestion_burst_size: 10 } }";
const FLAG: [&str; 1] = ["--default-tenant=anonymous"];

async fn push(server: &Server, headers: &[(&str, &str)], items: usize) -> anyhow::Result<Answer> {
    Ok(Answer::of(server.ask(headers, samples(Protocol::V1, items)).await?))
}

#[tokio::test]
async fn a_push_without_tenant_is_the_default_tenants() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAG).await?;
    assert_eq!(push(&server, &[], 4).await?.status, 200);
    assert_eq!(push(&server, &[("x-scope-orgid", "")], 4).await?.status, 200);
    assert_eq!(push(&server, &[("x-scope-orgid", "anonymous")], 2).await?.status, 200);
    let denied = push(&server, &[], 1).await?;
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (429, Some("ingestion_rate")));
    assert_eq!(push(&server, &[("x-scope-orgid", "other")], 20).await?.status, 200);
    let series = r#"rls_tenant_decisions_total{decision="deny",tenant="anonymous"}"#;
    assert_eq!(server.metric(series).await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn explain_takes_the_default_tenant_too() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &FLAG).await?;
    let request = Request::post(format!("{}/api/v1/explain?items=11", server.http));
    let (status, answer) = runtime::testing::send(request, Vec::new()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    assert_eq!((status, &answer["tenant"], &answer["reason"]), (200, &"anonymous".into(), &"ingestion_burst".into()));
    Ok(())
}

#[tokio::test]
async fn without_the_flag_a_push_needs_a_tenant() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for headers in [&[][..], &[("x-scope-orgid", "")]] {
        assert_eq!(push(&server, headers, 1).await?.status, 401, "{headers:?}");
    }
    let twice = [("x-scope-orgid", ""), ("x-scope-orgid", "a")];
    let with_flag = Server::start(LIMITS, &FLAG).await?;
    assert_eq!(push(&with_flag, &twice, 1).await?.status, 400);
    Ok(())
}
