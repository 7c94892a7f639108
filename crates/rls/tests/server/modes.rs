//! Modes and the limits of the edge config.

use remote_write::Protocol;

use crate::support::{Server, samples, until};

const LIMITS: &str =
    "overrides: { t: { ingestion_rate: 0.001, ingestion_burst_size: 2, request_rate: 0.001, request_burst_size: 2 } }";

#[tokio::test]
async fn shadow_decides_and_counts_and_denies_nothing() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { t: { mode: shadow } } }", &[]).await?;
    for _ in 0..4 {
        assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 200);
    }
    for (reason, pushes) in [("ingestion_burst", 2.0), ("request_rate", 2.0)] {
        let series = format!(r#"rls_decisions_total{{decision="deny",mode="shadow",reason="{reason}"}}"#);
        assert_eq!(server.metric(&series).await?, Some(pushes), "{reason}");
    }
    assert_eq!(server.push("other", b"no push".to_vec()).await?.status, 400, "another tenant is denied");
    Ok(())
}

#[tokio::test]
async fn without_a_tenant_the_default_mode_holds() -> anyhow::Result<()> {
    for (mode, status) in [("enforce", 401), ("shadow", 200), ("off", 200)] {
        let config = format!("{{ mode: {mode}, tenants: {{ t: {{ mode: enforce }} }} }}");
        let server = Server::start_with(LIMITS, &config, &[]).await?;
        for (header, reason) in [("a/b", "tenant_invalid"), ("", "tenant_missing")] {
            assert_eq!(server.push(header, samples(Protocol::V1, 1)).await?.status, status, "{mode}");
            let series = format!(r#"rls_decisions_total{{decision="deny",mode="{mode}",reason="{reason}"}}"#);
            assert_eq!(server.metric(&series).await?, Some(1.0), "{mode} {reason}");
        }
        assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 429, "a tenant of its own mode");
    }
    Ok(())
}

#[tokio::test]
async fn off_charges_nothing_and_looks_at_nothing() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { t: { mode: off } } }", &[]).await?;
    for _ in 0..5 {
        assert_eq!(server.push("t", b"no push".to_vec()).await?.status, 200);
    }
    let series = r#"rls_decisions_total{decision="allow",mode="off",reason="mode_off"}"#;
    assert_eq!(server.metric(series).await?, Some(5.0));
    std::fs::write(&server.edge_config, "mode: enforce")?;
    until("the tenant is limited", || async { Ok(server.push("t", vec![]).await?.status != 200) }).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 2)).await?.status, 200, "its buckets are full");
    Ok(())
}

#[tokio::test]
async fn edge_limits_deny_large_bodies_and_many_series() -> anyhow::Result<()> {
    let config = "{ mode: enforce, edge_limits: { max_series_per_request: 3 }, tenants: { small: { edge_limits: { max_body_bytes: 10 } } } }";
    let limits = "overrides: { t: { ingestion_rate: 0.001, ingestion_burst_size: 3 } }";
    let server = Server::start_with(limits, config, &[]).await?;
    let denied = server.push("t", samples(Protocol::V1, 4)).await?;
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (400, Some("edge_max_series_per_request")));
    assert!(denied.body.contains("err-edge-max-series-per-request") && denied.body.contains("up to 3 series"));
    assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 200, "nothing was charged");

    let denied = server.push("small", samples(Protocol::V1, 1)).await?;
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (413, Some("edge_max_body_bytes")));
    assert!(denied.body.contains("err-edge-max-body-bytes") && denied.body.contains("up to 10 bytes"));
    Ok(())
}

#[tokio::test]
async fn a_bad_edge_config_keeps_the_last_good_one() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { t: { mode: shadow } } }", &[]).await?;
    for bad in ["mode: enforced", "tenants: [", "mode: enforce\ntenants: { t: { mode: enforse } }"] {
        std::fs::write(&server.edge_config, bad)?;
        until("a problem", || async { Ok(server.metric("rls_edge_config_problems").await? == Some(1.0)) }).await?;
        assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 200, "{bad}: still in shadow");
        let problems = server.json("/api/v1/problems").await?;
        assert_eq!(problems["problems"][0]["source"], "edge_config", "{problems}");
        std::fs::write(&server.edge_config, "{ mode: enforce, tenants: { t: { mode: shadow } } }")?;
        until("no problem", || async { Ok(server.metric("rls_edge_config_problems").await? == Some(0.0)) }).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_good_edge_config_every_tenant_is_shadowed() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "mode: enforced", &[]).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 200);
    assert_eq!(server.metric("rls_edge_config_problems").await?, Some(1.0));
    std::fs::write(&server.edge_config, "mode: enforce")?;
    until("it is enforced", || async { Ok(server.push("t", samples(Protocol::V1, 3)).await?.status == 429) }).await
}

#[tokio::test]
async fn before_the_first_limits_only_enforced_tenants_get_no_answer() -> anyhow::Result<()> {
    let server = Server::start_with("overrides: [", "{ mode: enforce, tenants: { t: { mode: shadow } } }", &[]).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 3)).await?.status, 200);
    let series = r#"rls_decisions_total{decision="allow",mode="shadow",reason="no_limits"}"#;
    assert_eq!(server.metric(series).await?, Some(1.0));
    assert!(server.push("other", samples(Protocol::V1, 3)).await.is_err());
    Ok(())
}
